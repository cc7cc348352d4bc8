"""A watched file of models: edits, links, mistakes, and models' files that are being replaced."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from model_catalogs import folder, settings_for, written
from rowcast.models.catalog import Catalog, read_catalog
from rowcast.models.watch import EVERY, CatalogWatch
from rowcast.settings import read_settings


class Watched:
    """A file of models and its watch, with a clock that each look advances."""

    def __init__(self, file: Path, models: Any) -> None:
        self.file = file
        self.edits = 0
        self.write(models)
        settings = settings_for(file)
        self.watch = CatalogWatch(settings, read_catalog(settings))
        self.now = 100.0

    def write(self, models: Any) -> None:
        """Write the file, at a time of its own."""
        self.edits += 1
        written(self.file, models)
        os.utime(self.file, (self.edits, self.edits))

    def look(self) -> Catalog | None:
        self.now += EVERY
        return self.watch.poll(self.now)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    folder(tmp_path / "tiny")
    return Watched(tmp_path / "models.json", {"a": "tiny"})


def names(catalog: Catalog | None) -> list[str]:
    assert catalog is not None
    return [build.name for build in catalog.builds]


def test_nothing_changes_by_itself(watched: Watched) -> None:
    before = watched.watch.catalog
    assert [watched.look() for _ in range(3)] == [None] * 3
    assert watched.watch.reload() is None
    assert watched.watch.catalog is before


def test_an_edit_is_a_new_catalog_once(watched: Watched) -> None:
    watched.write({"a": "tiny", "b": "scripted"})
    assert names(watched.look()) == ["a", "b"]
    assert watched.look() is None
    assert names(watched.watch.catalog) == ["a", "b"]


def test_an_edit_before_the_first_look_is_seen(watched: Watched) -> None:
    watched.write({"b": "tiny"})
    assert names(watched.watch.poll(0)) == ["b"]


def test_it_looks_at_most_every_two_seconds(watched: Watched) -> None:
    watched.look()
    watched.write({"b": "tiny"})
    assert watched.watch.poll(watched.now + EVERY / 2) is None
    assert names(watched.watch.poll(watched.now + EVERY)) == ["b"]


def test_a_reload_does_not_wait(watched: Watched) -> None:
    watched.look()
    watched.write({"b": "tiny"})
    assert names(watched.watch.reload()) == ["b"]
    assert watched.look() is None


def test_a_change_of_when_to_unload_keeps_the_build(watched: Watched) -> None:
    before = watched.watch.catalog.builds[0]
    watched.write({"a": {"model": "tiny", "idle_seconds": 9}})
    after = watched.look()
    assert after is not None
    assert (after.builds[0].id, after.builds[0].idle_seconds) == (before.id, 9)


def test_another_layout_of_the_same_entries_is_no_change(watched: Watched) -> None:
    watched.write('\n\n\n{"a":\n"tiny"}')
    assert watched.look() is None
    assert watched.watch.problem == ""


def test_a_mistake_changes_nothing_until_it_is_corrected(watched: Watched) -> None:
    before = watched.watch.catalog
    watched.write({"a": "tiny", "b": 7})
    for _ in range(3):
        assert watched.look() is None
        assert watched.watch.problem.startswith(f'{watched.file}:3: "b" has to be')
        assert watched.watch.catalog is before
    watched.write({"a": "tiny", "b": "scripted"})
    assert names(watched.look()) == ["a", "b"]
    assert watched.watch.problem == ""


def test_a_mistake_that_is_reverted_leaves_no_problem(watched: Watched) -> None:
    watched.write("{")
    watched.look()
    watched.write({"a": "tiny"})
    assert watched.look() is None
    assert watched.watch.problem == ""


def test_a_file_that_is_being_written_is_used_once_it_is_whole(watched: Watched) -> None:
    whole = json.dumps({"a": "tiny", "b": "scripted"})
    for length in range(0, len(whole), 7):
        watched.write(whole[:length])
        assert watched.look() is None
        assert watched.watch.problem
    watched.write(whole)
    assert names(watched.look()) == ["a", "b"]


def test_a_file_that_is_gone_changes_nothing(watched: Watched) -> None:
    watched.file.unlink()
    assert watched.look() is None
    assert "No such file" in watched.watch.problem
    watched.write({"b": "tiny"})
    assert names(watched.look()) == ["b"]


def test_a_link_that_is_replaced_is_a_change(tmp_path: Path) -> None:
    """A ConfigMap replaces a folder's link; the file's own path and times stay the same."""
    for version, models in enumerate(({"a": "scripted"}, {"b": "scripted"})):
        (tmp_path / f"v{version}").mkdir()
        os.utime(written(tmp_path / f"v{version}/models.json", models), (1, 1))
    (tmp_path / "data").symlink_to("v0")
    (tmp_path / "models.json").symlink_to("data/models.json")
    settings = settings_for(tmp_path / "models.json")
    watch = CatalogWatch(settings, read_catalog(settings))
    assert watch.poll(0) is None
    (tmp_path / "new").symlink_to("v1")
    (tmp_path / "new").replace(tmp_path / "data")
    assert names(watch.poll(EVERY)) == ["b"]


def test_a_model_s_files_are_used_once_they_stop_changing(watched: Watched, tmp_path: Path) -> None:
    before = watched.watch.catalog.builds[0]
    weights = tmp_path / "tiny" / "model.safetensors"
    watched.look()
    for size in (10, 20, 30):  # still being copied
        weights.write_bytes(b"x" * size)
        assert watched.look() is None
    after = watched.look()
    assert after is not None
    assert (after.builds[0].name, after.builds[0].id == before.id) == ("a", False)
    assert watched.look() is None


def test_files_that_are_put_back_are_no_change(watched: Watched, tmp_path: Path) -> None:
    weights = tmp_path / "tiny" / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(b"something else")
    assert watched.look() is None
    weights.write_bytes(b"1234")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [watched.look(), watched.look()] == [None, None]


def test_a_folder_that_is_gone_is_a_problem_until_it_is_back(
    watched: Watched, tmp_path: Path
) -> None:
    watched.write({"a": "tiny", "b": str(tmp_path / "later")})
    assert watched.look() is None
    assert f"{watched.file}:3: " in watched.watch.problem
    folder(tmp_path / "later")
    watched.look()
    assert names(watched.look() or watched.watch.catalog) == ["a", "b"]
    assert watched.watch.problem == ""


def test_one_model_is_looked_at_on_request_only(tmp_path: Path) -> None:
    settings = read_settings(model=str(folder(tmp_path / "tiny")))
    watch = CatalogWatch(settings, read_catalog(settings))
    before = watch.catalog.builds[0]
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"another")
    assert [watch.poll(now) for now in (0.0, 10.0, 20.0)] == [None] * 3
    after = watch.reload()
    assert after is not None
    assert after.builds[0].id != before.id


def test_one_model_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path / "tiny")
    settings = read_settings(model=str(path))
    watch = CatalogWatch(settings, read_catalog(settings))
    path.rename(tmp_path / "moved")
    assert watch.reload() is None
    assert "is not a folder here" in watch.problem
