"""P-06, P-07: a file maps names to models, which are loaded when needed and then unloaded."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from processes import Running, running_server, until

PATIENCE = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `config/`, with the names and variables of the promise."""
    folder = tmp_path_factory.mktemp("config")
    models = {
        "vicuna": "scripted",
        "vicuna_q2": {"model": "scripted", "aliases": ["small/q2"], "idle_seconds": 0.5},
    }
    (folder / "model_config.json").write_text(json.dumps(models))
    return folder


@pytest.fixture(scope="module")
def many(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    env = {"MODELS": str(folder / "model_config.json")}
    with running_server(tmp_path_factory.mktemp("many"), env=env) as server:
        yield server


def state(server: Running, name: str) -> str:
    listed = requests.get(f"{server.url}/v1/models", timeout=10).json()["data"]
    return next(str(each["state"]) for each in listed if each["id"] == name)


def reply(server: Running, name: str) -> requests.Response:
    body = {"model": name, "prompt": "Hi", "max_tokens": 3, "seed": 7}
    return requests.post(f"{server.url}/v1/completions", json=body, timeout=PATIENCE)


@pytest.mark.slow
def test_p06_a_model_is_loaded_when_it_is_first_needed_and_unloaded_when_it_is_not(
    many: Running,
) -> None:
    assert len(many.launchers()) == 1, "only the default model costs anything"
    assert state(many, "vicuna_q2") == "unloaded"
    first = reply(many, "vicuna_q2")
    assert first.status_code == 200
    assert first.json()["model"] == "vicuna_q2"
    until(lambda: state(many, "vicuna_q2") == "unloaded", "it is unloaded", PATIENCE)
    until(lambda: len(many.launchers()) == 1, "its processes have ended")
    again = reply(many, "vicuna_q2")
    assert again.json()["choices"] == first.json()["choices"]


@pytest.mark.slow
def test_p07_names_of_the_file_of_models_choose_the_model(many: Running) -> None:
    texts = {
        name: reply(many, name).json()["choices"][0]["text"]
        for name in ("vicuna", "vicuna_q2", "small/q2")
    }
    assert set(texts.values()) == {" pupo popo poge"}
    unknown = reply(many, "vicuna_q3")
    assert unknown.status_code == 404
    assert "vicuna_q2" in unknown.json()["error"]["message"]


@pytest.mark.slow
def test_p07_the_file_is_followed_while_the_server_runs(many: Running, folder: Path) -> None:
    file = folder / "model_config.json"
    good = file.read_text()
    file.write_text(good.replace('"vicuna_q2"', '"vicuna_q3"'))
    until(lambda: reply(many, "vicuna_q3").status_code == 200, "the new name is served", PATIENCE)
    assert reply(many, "vicuna_q2").status_code == 404
    file.write_text(good[:-2])
    until(lambda: "problem" in many.health(), "the mistake is shown", PATIENCE)
    assert reply(many, "vicuna_q3").status_code == 200
    file.write_text(good)
    until(lambda: "problem" not in many.health(), "it is corrected", PATIENCE)


@pytest.mark.slow
def test_p07_variables_beside_the_file_are_settings(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model_config.json").write_text((folder / "model_config.json").read_text())
    (tmp_path / "local.env").write_text("BODY_BYTES=1024\n")
    env = {"MODELS": str(tmp_path / "model_config.json")}
    with running_server(tmp_path, env=env) as server:
        body = {"text": "a" * 2000}
        refused = requests.post(f"{server.url}/inference/vicuna", json=body, timeout=10)
        assert refused.status_code == 413
