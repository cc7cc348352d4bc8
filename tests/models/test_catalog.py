"""The catalog: from a file of models, or from MODEL alone; and files that are not files of models.

Covers `models/revision`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from model_catalogs import catalog, faults, folder, settings_for, written
from rowcast.errors import RowcastError, UnknownModel
from rowcast.models.build import Build
from rowcast.models.catalog import BYTES, Catalog, read_catalog
from rowcast.settings import read_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of a file of models, beside the folder of a model, `tiny`."""
    folder(tmp_path / "tiny")
    return tmp_path / "models.json"


def only(path: Path, entry: Any, **chosen: Any) -> Build:
    """Return the build of a file of one model, `house`."""
    (build,) = catalog(path, {"house": entry}, **chosen).builds
    return build


def test_the_first_model_is_the_default_and_starts(file: Path) -> None:
    found = catalog(file, {"a": "scripted", "b": "tiny", "c": "scripted"})
    assert [build.name for build in found.builds] == ["a", "b", "c"]
    assert [build.load for build in found.builds] == ["start", "lazy", "lazy"]
    assert found.builds[0].name == "a"


def test_another_default_is_the_first_build(file: Path) -> None:
    found = catalog(file, {"a": "tiny", "b": {"model": "tiny", "default": True}, "c": "tiny"})
    assert [build.name for build in found.builds] == ["b", "a", "c"]
    assert [build.load for build in found.builds] == ["start", "lazy", "lazy"]
    assert [entry.name for entry in found.entries] == ["a", "b", "c"]


def test_when_to_load_can_be_chosen(file: Path) -> None:
    models = {
        "a": {"model": "tiny", "load": "lazy"},
        "b": {"model": "tiny", "load": "start"},
    }
    assert [build.load for build in catalog(file, models).builds] == ["lazy", "start"]


def test_what_a_build_takes_from_its_entry(file: Path) -> None:
    build = only(
        file,
        {
            "model": "tiny",
            "aliases": ["h"],
            "idle_seconds": 5,
            "keep": True,
            "keep_alive_seconds": 9,
            "draft": "small",
        },
    )
    assert (build.aliases, build.idle_seconds, build.keep) == (("h",), 5.0, True)
    assert build.longest_keep_alive == 9.0


def test_a_draft_is_stored_and_changes_no_build(file: Path) -> None:
    plain = only(file, {"model": "tiny"})
    found = catalog(file, {"house": {"model": "tiny", "draft": "small"}})
    assert found.entries[0].draft == "small"
    assert found.builds == (plain,)


def test_a_model_may_be_beside_the_file(file: Path, tmp_path: Path) -> None:
    settings = only(file, "tiny").settings(settings_for(file))
    assert "tiny" in settings.names
    assert faults(file, {"house": "./tiny"}) == []
    assert faults(file, {"house": str(tmp_path / "tiny")}) == []


def test_the_folder_of_models_takes_precedence_over_that_of_the_file(
    file: Path, tmp_path: Path
) -> None:
    beside = only(file, "tiny").id
    folder(tmp_path / "root" / "tiny")
    assert only(file, "tiny", model_root=tmp_path / "root").id != beside


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("./nowhere", "MODEL './nowhere' is not a folder here"),
        ("/no/where", "MODEL '/no/where' is not a folder here"),
        ("a/b/c", "MODEL 'a/b/c' is not a folder here"),
        ("a.gguf", "MODEL 'a.gguf' is a GGUF file, which cannot be read yet"),
        ("not a hub id", "MODEL 'not a hub id' is neither a folder here nor a hub id"),
    ],
)
def test_a_model_that_is_not_there_is_a_fault_with_its_line(
    file: Path, model: str, problem: str
) -> None:
    (fault,) = faults(file, {"a": "tiny", "house": {"dtype": "int8", "model": model}})
    assert fault.startswith(f':5: "house": {problem}')


def test_a_folder_without_a_configuration_is_a_fault(file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (fault,) = faults(file, {"house": "./empty"})
    assert fault.endswith("has no config.json")


def test_a_name_that_is_too_long_for_a_folder_is_a_fault(file: Path) -> None:
    (fault,) = faults(file, {"house": "/" + "x" * 3000})
    assert "File name too long" in fault


def test_a_hub_id_is_not_looked_up(file: Path) -> None:
    assert faults(file, {"a": "nobody/no-such-model", "b": "gpt2"}) == []


def test_faults_of_the_text_and_of_folders_are_reported_together(file: Path) -> None:
    found = faults(file, {"a": "./nowhere", "b": {"model": "tiny", "dtpye": 1}, "c": 7})
    assert [fault.split(":")[1] for fault in found] == ["2", "5", "7"]


@pytest.mark.parametrize("key", ["chat_template", "generation_config"])
def test_a_file_that_an_entry_names_has_to_be_there(file: Path, key: str) -> None:
    (fault,) = faults(file, {"house": {"model": "tiny", key: "no.file"}})
    assert fault == f':4: "house": "{key}" is "no.file", but there is no such file'


def test_files_may_be_beside_the_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jinja").write_text("x")
    (tmp_path / "g.json").write_text('{"top_k": 7}')
    entry = {"model": "tiny", "chat_template": "a.jinja", "generation_config": "g.json"}
    settings = only(file, entry).settings(settings_for(file))
    assert settings.chat_template == str(tmp_path / "a.jinja")
    assert settings.config_file == str(tmp_path / "g.json")


def test_a_generation_configuration_out_of_range_is_a_fault(file: Path) -> None:
    (fault,) = faults(file, {"house": {"model": "tiny", "generation_config": {"top_p": 2}}})
    assert fault.startswith(':4: "house": the generation configuration has "top_p": has to be')


def test_the_mock_needs_no_folder_and_has_all_names(file: Path) -> None:
    found = catalog(file, {"a": "./nowhere", "b": "x/y"}, mock_model=True)
    for build in found.builds:
        settings = build.settings(settings_for(file, mock_model=True))
        assert (settings.served_model, settings.served_name) == ("scripted", build.name)


# What a build is.


def changed(path: Path, change: dict[str, Any]) -> bool:
    """True if a change of the entry makes another build."""
    before = only(path, {"model": "tiny"})
    return only(path, {"model": "tiny"} | change).id != before.id


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "int8"},
        {"context_length": 99},
        {"two_layers": True},
        {"max_new_tokens": 9},
        {"pooling": "mean"},
        {"generation_config": {"top_k": 3}},
        {"model": "scripted"},
    ],
)
def test_what_is_computed_or_how_it_is_loaded_makes_another_build(
    file: Path, change: dict[str, Any]
) -> None:
    assert changed(file, change)


@pytest.mark.parametrize(
    "change",
    [
        {"idle_seconds": 5},
        {"keep": True},
        {"keep_alive_seconds": 5},
        {"aliases": ["x"]},
        {"load": "lazy"},
        {"default": True},
        {"draft": "x"},
        {"dtype": "auto"},  # the default
    ],
)
def test_when_it_is_loaded_and_its_names_make_no_other_build(
    file: Path, change: dict[str, Any]
) -> None:
    assert not changed(file, change)


def test_the_same_files_are_the_same_build(file: Path) -> None:
    build = only(file, "tiny")
    assert build.id == only(file, "tiny").id
    assert len(build.id) == 12
    assert int(build.id, 16) >= 0


def test_each_name_is_a_build_of_its_own(file: Path) -> None:
    assert len({build.id for build in catalog(file, {"a": "tiny", "b": "tiny"}).builds}) == 2


def test_replaced_files_are_another_build(file: Path, tmp_path: Path) -> None:
    before = only(file, "tiny").id
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"longer than before")
    after = only(file, "tiny").id
    os.utime(tmp_path / "tiny" / "model.safetensors", ns=(1, 1))
    assert len({before, after, only(file, "tiny").id}) == 3


def test_files_that_no_model_reads_do_not_matter(file: Path, tmp_path: Path) -> None:
    before = only(file, "tiny").id
    (tmp_path / "tiny" / "README.md").write_text("news")
    assert only(file, "tiny").id == before


def test_a_link_to_another_folder_is_another_build(file: Path, tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    for name in ("config.json", "model.safetensors"):
        os.utime(one / name, ns=(1, 1))
        os.utime(two / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to(one)
    before = only(file, "./link").id
    link.unlink()
    link.symlink_to(two)
    assert only(file, "./link").id != before


def test_a_changed_template_is_another_build(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jinja").write_text("x")
    entry = {"model": "tiny", "chat_template": "a.jinja"}
    before = only(file, entry).id
    (tmp_path / "a.jinja").write_text("xy")
    assert only(file, entry).id != before


# Without a file.


def test_one_model_is_a_catalog_of_one(tmp_path: Path) -> None:
    settings = read_settings(model=str(folder(tmp_path / "tiny")), dtype="int8")
    found = read_catalog(settings)
    (build,) = found.builds
    assert found == Catalog((build,))
    assert (build.name, build.load, build.keep) == ("tiny", "start", True)
    assert build.variables == {}
    assert build.settings(settings) == settings


def test_one_model_that_is_missing_is_an_error() -> None:
    with pytest.raises(UnknownModel, match=r"MODEL '\./nowhere' is not a folder here"):
        read_catalog(read_settings(model="./nowhere"))


def test_one_model_with_a_bad_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="CONFIG_FILE"):
        read_catalog(read_settings(model="scripted", config_file=str(tmp_path / "no.json")))


# Whatever the file is.


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(RowcastError, match="is not a file; MODELS has to name a JSON file"):
        read_catalog(read_settings(models=tmp_path))


def test_a_pipe_is_not_a_file_and_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RowcastError, match="is not a file"):
        read_catalog(read_settings(models=tmp_path / "pipe"))


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RowcastError, match="cannot be read: No such file or directory"):
        read_catalog(read_settings(models=tmp_path / "no.json"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_an_error(file: Path) -> None:
    written(file, "{}").chmod(0)
    assert faults(file, file.name) == [": cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ':1: column 1: the file is empty; write {"name": "path or hub id"}'),
        (b'{"a":\n"\xff"}', ":2: is not UTF-8; save it as UTF-8"),
        (" " * (10 << 20), f": has more than {BYTES} bytes; name fewer models"),
        ('{"a": NaN}', ":1: NaN is not a number in JSON"),
        ('{"a": ' * 10_000, ": nests deeper than 16 levels"),
    ],
)
def test_a_file_that_is_not_a_file_of_models_is_an_error(file: Path, text: Any, fault: str) -> None:
    assert faults(file, text) == [fault]


def test_a_mark_of_the_encoding_is_allowed(file: Path) -> None:
    assert faults(file, b'\xef\xbb\xbf{"a": "tiny"}') == []


@given(st.binary(max_size=200) | st.text('{}[]",:\n abm', max_size=60).map(str.encode))
@bounded(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_a_catalog_or_an_error_with_the_file_s_name(file: Path, text: bytes) -> None:
    for fault in faults(file, text):
        assert fault.startswith(":")  # after the file's name


ENTRY = st.fixed_dictionaries(
    {"model": st.sampled_from(["tiny", "./nowhere", "a b", "scripted", "x/y", "\x00", "~", "/"])},
    optional={
        "dtype": st.sampled_from(["int8", "fp32", "x"]),
        "chat_template": st.text(max_size=3),
        "generation_config": st.dictionaries(
            st.sampled_from(["top_k", "temperature", "max_new_tokens"]),
            st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        ),
        "context_length": st.integers(),
        "image_suffix": st.text(max_size=3),
        "aliases": st.lists(st.sampled_from(["a", "b", "x/y", ""]), max_size=2),
    },
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), ENTRY | st.text(max_size=3), min_size=1))
@bounded(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_any_entries_are_builds_with_settings_or_faults_with_lines(
    file: Path, models: dict[str, Any]
) -> None:
    for fault in (wrong := faults(file, models)):
        assert fault.split(":")[1].isdigit() or fault.endswith(" more")
    if wrong:
        return
    found = catalog(file, models)
    assert {build.name for build in found.builds} == set(models)
    for build in found.builds:
        settings = build.settings(settings_for(file))
        assert settings.served_name == build.name
        assert json.loads(json.dumps(build.variables)) == build.variables
