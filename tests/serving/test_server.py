"""A server described in Python: names, settings, files and variables; nothing is started here."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rowcast
from processes import free_port
from rowcast import Model, RowcastError, Server
from rowcast.errors import InvalidField
from rowcast.serving.running import RunningServer
from rowcast.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove variables of the user who runs the tests."""
    for name in Settings.fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def prepare() -> Iterator[Any]:
    """Return a function that prepares a server without starting it."""
    prepared: list[RunningServer] = []

    def prepare(server: Server, port: int = 0, host: str = "127.0.0.1") -> RunningServer:
        prepared.append(server._prepared(port, host, None))
        return prepared[-1]

    yield prepare
    for each in prepared:
        each.stop()
        assert not each._folder.path.exists()


def variables_of(running: RunningServer) -> dict[str, str]:
    return dict(running._process._environment)


def test_the_package_exports_what_python_users_need() -> None:
    assert {"Model", "RowcastError", "Server", "__version__"} <= set(dir(rowcast))
    assert rowcast.Server is Server
    with pytest.raises(AttributeError, match="no attribute 'Sever'"):
        rowcast.Sever  # type: ignore[attr-defined]  # noqa: B018


def test_one_model_has_its_own_name() -> None:
    assert list(Server(Model("facebook/opt-125m")).models) == ["opt-125m"]
    assert list(Server("storyteller").models) == ["storyteller"]


def test_several_have_the_names_of_the_dict() -> None:
    models = Server({"story": Model("storyteller", dtype="int8"), "mini": "draft"}).models
    assert {name: each.entry() for name, each in models.items()} == {
        "story": {"model": "storyteller", "dtype": "int8"},
        "mini": {"model": "draft"},
    }


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"wokers": 2}, "wokers is not a setting of the server; did you mean workers"),
        ({"zzz": 2}, "zzz is not a setting of the server; docs/settings.md"),
        ({"port": 2}, "port is not set here"),
        ({"model": "draft"}, "model is not set here"),
        ({"workers": 0}, "workers is 0: .*greater than or equal to 1"),
        ({"dtype": "int9"}, "dtype is 'int9'"),
    ],
)
def test_bad_settings_are_refused_before_the_start(
    settings: dict[str, Any], problem: str, prepare: Any
) -> None:
    with pytest.raises(InvalidField, match=problem):
        prepare(Server("scripted", **settings))


def test_the_file_of_models_has_its_models(prepare: Any) -> None:
    running = prepare(Server({"a": Model("scripted", idle_seconds=5), "b": "draft"}))
    file = Path(variables_of(running)["MODELS"])
    assert json.loads(file.read_text()) == {
        "a": {"model": "scripted", "idle_seconds": 5},
        "b": {"model": "draft"},
    }


def test_settings_become_variables_over_those_of_this_process(
    prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS", "3")
    monkeypatch.setenv("CONNECTIONS", "77")
    port = free_port()
    variables = variables_of(prepare(Server("scripted", workers=2, journal="off"), port))
    assert (variables["WORKERS"], variables["CONNECTIONS"]) == ("2", "77")
    assert (variables["JOURNAL"], variables["PORT"]) == ("off", str(port))
    assert variables["PATH"] == os.environ["PATH"]


def test_models_of_this_process_s_variables_are_not_served(
    prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MODEL", "model", "MOCK_MODEL", "MODEL_NAME", "BACKEND_SOCKET"):
        monkeypatch.setenv(name, "1")
    variables = variables_of(prepare(Server("scripted")))
    assert not {"MODEL", "model", "MOCK_MODEL", "MODEL_NAME", "BACKEND_SOCKET"} & set(variables)


def test_a_free_port_is_taken_at_once_and_the_journal_goes_with_it(prepare: Any) -> None:
    running = prepare(Server("scripted"))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", running.port))
    assert variables_of(running)["JOURNAL"].startswith(str(running._folder.path))


def test_a_fixed_port_has_the_journal_that_the_command_has(prepare: Any) -> None:
    assert "JOURNAL" not in variables_of(prepare(Server("scripted"), free_port()))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
    ],
)
def test_its_url_can_be_reached_from_here(host: str, url: str, prepare: Any) -> None:
    assert prepare(Server("scripted"), host=host).url.startswith(url)


def test_the_proxy_s_secret_is_sent(prepare: Any) -> None:
    running = prepare(Server("scripted", proxy_secret="x" * 40))
    assert running._client.headers["X-Rowcast-Proxy-Secret"] == "x" * 40
    assert "xxx" not in repr(running._client)


def test_a_model_that_is_not_there_is_refused_without_a_process(tmp_path: Path) -> None:
    with pytest.raises(RowcastError, match=r"has no config\.json"):
        Server(Model(tmp_path)).start()


def test_what_is_missing_beside_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RowcastError, match=r'"chat_template" is .* no such file'):
        Server(Model("scripted", chat_template=tmp_path / "none.jinja")).start()
