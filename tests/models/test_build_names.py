"""Which model a name in a request means."""

from pathlib import Path
from typing import Any

from model_catalogs import catalog, folder, settings_for
from rowcast.models.build import by_name, listed_names
from rowcast.models.catalog import read_catalog
from rowcast.settings import read_settings


def meant(path: Path, models: Any) -> dict[str, str]:
    """Return each name, and the name of the model that it means."""
    file = path / "m.json"
    found = by_name(catalog(file, models).builds, settings_for(file))
    return {name: build.name for name, build in found.items()}


def test_names_aliases_ids_and_paths(tmp_path: Path) -> None:
    tiny = str(folder(tmp_path / "tiny"))
    models = {
        "vicuna_q2": {"model": "lmsys/vicuna-7b", "aliases": ["chat", "us/chat"]},
        "house/small": tiny,
        "near": "./tiny",
    }
    assert meant(tmp_path, models) == {
        "vicuna_q2": "vicuna_q2",
        "chat": "vicuna_q2",
        "us/chat": "vicuna_q2",
        "lmsys/vicuna-7b": "vicuna_q2",
        "house/small": "house/small",
        "small": "house/small",
        tiny: "house/small",
        "near": "near",
        "./tiny": "near",
    }


def test_a_place_means_the_first_model_from_it(tmp_path: Path) -> None:
    models = {"full": "x/y", "small": {"model": "x/y", "dtype": "int8"}}
    assert meant(tmp_path, models) == {"full": "full", "small": "small", "x/y": "full"}


def test_a_name_takes_precedence_over_a_place(tmp_path: Path) -> None:
    models = {"a": "x/y", "b": {"model": "scripted", "aliases": ["x/y"]}}
    assert meant(tmp_path, models)["x/y"] == "b"


def test_one_model_without_a_file_has_all_its_names() -> None:
    settings = read_settings(model="facebook/opt-125m")
    builds = read_catalog(settings).builds
    assert set(by_name(builds, settings)) == set(settings.names)
    assert listed_names(builds[0], settings) == settings.listed_names


def test_lists_show_names_aliases_and_hub_ids_but_no_path(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    models = {
        "a": {"model": "x/y", "aliases": ["b"]},
        "c": str(folder(tmp_path / "tiny")),
    }
    builds = catalog(file, models).builds
    shown = [listed_names(build, settings_for(file)) for build in builds]
    assert shown == [("a", "x/y", "b"), ("c",)]
