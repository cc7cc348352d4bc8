"""The settings of a build: the server's, with the build's own over them.

Covers `models/messages`.
"""

import msgspec
import pytest

from rowcast.models import messages
from rowcast.models.build import Build
from rowcast.settings import read_settings

BUILD = Build(
    id="0",
    name="house",
    variables={"MODEL": "scripted", "MODEL_NAME": "house", "TWO_LAYERS": "1", "DTYPE": "int8"},
)


def test_its_own_settings_override_the_server_s() -> None:
    server = read_settings(model="storyteller", dtype="float32", port=7001, context_length=9)
    own = BUILD.settings(server)
    assert (own.served_model, own.served_name, own.dtype) == ("scripted", "house", "int8")
    assert (own.two_layers, own.port, own.context_length) == (True, 7001, 9)


def test_the_server_s_are_not_changed() -> None:
    server = read_settings(dtype="float32")
    before = server.environment()
    BUILD.settings(server)
    assert server.environment() == before


def test_the_environment_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = read_settings()
    monkeypatch.setenv("PORT", "no number")
    monkeypatch.setenv("CONTEXT_LENGTH", "7")
    assert BUILD.settings(server).context_length == 0


def test_another_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    own = BUILD.settings(read_settings(port=7001))
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == own


def test_the_journal_is_the_server_s() -> None:
    server = read_settings(journal="/tmp/a.db")
    assert BUILD.settings(server).journal_path == server.journal_path
    server = read_settings()
    assert BUILD.settings(server).journal_path == server.journal_path
    assert BUILD.settings(read_settings(mock_model=True)).journal_path is None


def test_a_build_without_variables_has_the_server_s_settings() -> None:
    server = read_settings(model="scripted", port=7001)
    build = Build(id="0", name="scripted", variables={})
    assert build.settings(server) == server


@pytest.mark.parametrize(
    "message",
    [
        messages.Hello(frontend=1, holds=(BUILD,)),
        messages.Hold(build=BUILD),
        messages.Drop(build="0", idle_seconds=1.5, keep_alive=-1),
        messages.Load(number=1, name="house"),
        messages.Unload(number=2, name="house"),
    ],
)
def test_a_frontend_s_messages_arrive_as_they_are(message: messages.FromFrontend) -> None:
    assert messages.decode_from_frontend(messages.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        messages.Held(build="0"),
        messages.Done(number=1, problem="no"),
        messages.Snapshot(
            builds=(messages.BuildState(build=BUILD, state="ready", url="unix:/x", current=True),),
            problem="models.json:1: no",
            memory=7,
        ),
    ],
)
def test_the_supervisor_s_messages_arrive_as_they_are(message: messages.FromSupervisor) -> None:
    assert messages.decode_from_supervisor(messages.encode(message)) == message


def test_bytes_that_are_not_a_message_are_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        messages.decode_from_frontend(messages.encode(messages.Held(build="0")))
