"""The supervisor as a process: several models, memory for fewer, frontends that come and go.

Covers `launch/forks`, `launch/reports`, `process_name`, `launch/memory`, `saved_state`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from backend.driven import submit
from engine.rule import reply as expected
from processes import ROOT, children, family, gone, kernel_name, launchers, until
from rowcast.launch.memory import memory_for_models
from rowcast.models.connection import SupervisorConnection
from rowcast.models.messages import (
    BuildState,
    Drop,
    FromFrontend,
    FromSupervisor,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)
from rowcast.settings import read_settings
from rowcast.transport.socket_folder import LONGEST_PATH
from rowcast.transport.unix_socket import UnixFrontendPort
from rowcast.wire import Event, Finished, Tokens

PATIENCE = 30.0
# Each scripted model needs 60 bytes of memory.
SUPERVISOR = """
import sys
from rowcast import engines
from rowcast.engine import scripted_engine
from rowcast.engine.loading.needs import Needs
from rowcast.launch.__main__ import main

engines.NEEDS["scripted"] = lambda settings: Needs(60, "weights 60 bytes")
sys.exit(main())
"""


@dataclass
class Frontend:
    """A connection to the supervisor, and all that it has received."""

    connection: SupervisorConnection
    received: list[FromSupervisor] = field(default_factory=list)

    def send(self, message: FromFrontend) -> None:
        self.connection.send(message)

    def wait_for(self, true: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < limit, f"waited in vain for {what}: {self.states()}"
            self.received += self.connection.receive()

    @property
    def shown(self) -> Snapshot:
        self.wait_for(lambda: any(isinstance(e, Snapshot) for e in self.received), "a snapshot")
        return next(each for each in reversed(self.received) if isinstance(each, Snapshot))

    def states(self) -> dict[str, str]:
        found = [each for each in self.received if isinstance(each, Snapshot)]
        return {e.build.name: e.state for e in found[-1].builds if e.current} if found else {}

    def current(self, name: str) -> BuildState:
        return next(each for each in self.shown.builds if each.current and each.build.name == name)

    def hold(self, name: str) -> BuildState:
        """Hold the current build of a name, and wait until it is ready."""
        build = self.current(name).build
        self.send(Hold(build))
        self.wait_for(lambda: Held(build.id) in self.received, f"{name} is held")
        return self.await_state(name, "ready")

    def drop(self, name: str) -> None:
        self.received = [e for e in self.received if e != Held(self.current(name).build.id)]
        self.send(Drop(self.current(name).build.id))

    def await_state(self, name: str, state: str) -> BuildState:
        self.wait_for(lambda: self.states().get(name) == state, f"{name} is {state}")
        return self.current(name)


@dataclass
class Supervised:
    """A supervisor, its folder and its file of models."""

    process: subprocess.Popen[str]
    folder: Path
    models: Path
    env: dict[str, str]

    def start(self) -> None:
        command = [sys.executable, "-c", SUPERVISOR]
        self.process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, text=True)

    def kill(self) -> None:
        everyone = family(self.process.pid)
        self.process.kill()
        self.process.wait(PATIENCE)
        until(lambda: gone(everyone), "the end of all", PATIENCE)

    def connect(self) -> Frontend:
        path = self.folder / "models.sock"
        until(path.exists, "the supervisor listens", PATIENCE)
        frontend = Frontend(SupervisorConnection(str(path)))
        frontend.send(Hello(os.getpid()))
        return frontend

    def launchers(self, name: str) -> list[psutil.Process]:
        return launchers(psutil.Process(self.process.pid), name)

    def list_models(self, **models: object) -> None:
        part = self.models.with_suffix(".part")
        part.write_text(json.dumps(models))
        part.replace(self.models)


@contextlib.contextmanager
def supervised(folder: Path, memory: int = 1000, **models: object) -> Iterator[Supervised]:
    """Run a supervisor of these models, each of which needs 60 bytes."""
    home = folder / "home"
    home.mkdir()
    listed = folder / "models.json"
    made = Supervised.__new__(Supervised)
    made.folder, made.models = home, listed
    made.list_models(**models)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "inference-api"),
        "ROWCAST_MODELS_SOCKET": str(home / "models.sock"),
        "MODELS": str(listed),
        "MODELS_MEMORY": str(memory),
    }
    made.env = env
    made.start()
    try:
        yield made
    finally:
        made.kill()


LAZY = {"model": "scripted", "load": "lazy"}
START = {"model": "scripted", "load": "start"}


def reply(url: str, text: bytes, tokens: int) -> tuple[int, ...]:
    """Return the tokens of a reply of the backend at `url`."""
    port = UnixFrontendPort(url)
    port.send([submit("one", text, max_tokens=tokens)])
    events: list[Event] = []
    while not any(isinstance(event, Finished) for event in events):
        events += port.receive()
    port.close()
    return tuple(t for event in events if isinstance(event, Tokens) for t in event.tokens)


def test_a_model_is_loaded_by_its_first_request_and_serves(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        assert frontend.current("second").state == "unloaded"
        assert supervisor.launchers("second") == []
        second = frontend.hold("second")
        assert (second.needs, second.loads, second.pinned) == (60, 1, True)
        assert second.fingerprint
        assert second.context_length > 0
        assert reply(second.url, b"Hello", 5) == expected(b"Hello", 1, 5, ignore_eos=True)[0]


def test_each_model_has_its_own_processes_with_its_name(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START, second=START) as supervisor:
        frontend = supervisor.connect()
        backends = []
        for name in ("first", "second"):
            frontend.await_state(name, "ready")
            (launcher,) = supervisor.launchers(name)
            (backend,) = children(launcher.pid)
            assert kernel_name(backend.pid) == name
            backends.append(backend)
        backends[0].kill()
        until(lambda: gone(backends[:1]), "its end")
        until(lambda: bool(children(supervisor.launchers("first")[0].pid)), "the next backend")
        assert not gone(backends[1:])


def test_with_room_for_one_two_models_take_turns(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=100, first=START, second=LAZY) as supervisor:
        one, two = supervisor.connect(), supervisor.connect()
        one.await_state("first", "ready")
        one.hold("first")
        two.send(Hold(two.current("second").build))
        two.wait_for(lambda: two.states() == {"first": "draining", "second": "loading"}, "draining")
        assert "waits for memory" in two.current("second").stage
        assert supervisor.launchers("first"), "it is still held"
        one.drop("first")
        two.await_state("second", "ready")
        assert supervisor.launchers("first") == []
        two.drop("second")
        one.wait_for(lambda: one.states()["second"] == "ready", "the second is ready")
        one.hold("first")
        assert supervisor.launchers("second") == []


def test_what_can_never_fit_is_refused(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=50, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        reason = frontend.await_state("first", "failed").reason
        assert "it does not fit: weights 60 bytes" in reason
        until(lambda: supervisor.launchers("first") == [], "its launcher has ended")


def test_a_model_that_is_broken_harms_no_other(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "llama", "hidden_size": -1}')
    with supervised(tmp_path, first=START, second={"model": str(broken)}) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        frontend.send(Hold(frontend.current("second").build))
        failed = frontend.await_state("second", "failed")
        assert "hidden_size -1" in failed.reason
        assert failed.retry_seconds > 0
        assert frontend.current("first").state == "ready"


def test_a_swap_changes_over_when_the_new_build_serves(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        old = frontend.hold("first").build
        supervisor.list_models(first=START | {"context_length": 77})
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.wait_for(lambda: frontend.current("first").build.id != old.id, "the new build")
        assert frontend.current("first").state == "ready"
        assert [each.state for each in frontend.shown.builds] == ["ready", "draining"]
        frontend.send(Drop(old.id))
        frontend.wait_for(lambda: len(frontend.shown.builds) == 1, "the old one is gone")
        assert len(supervisor.launchers("first")) == 1


def test_a_file_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        before = frontend.await_state("first", "ready")
        supervisor.models.write_text("{")
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.wait_for(lambda: bool(frontend.shown.problem), "the problem is shown")
        assert frontend.current("first") == before


def test_a_successor_starts_what_is_held_though_the_file_is_wrong(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=200, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        held = [frontend.hold("second").build, frontend.current("first").build]
        supervisor.list_models(second=LAZY)
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.send(Hold(held[1]))
        frontend.wait_for(lambda: "first" not in frontend.states(), "the file is read")
        supervisor.models.write_text("{")
        supervisor.kill()
        (supervisor.folder / "models.sock").unlink()
        supervisor.start()
        again = supervisor.connect()
        again.send(Hello(os.getpid(), tuple(held)))
        again.await_state("second", "ready")
        again.wait_for(lambda: len(again.shown.builds) == 2, "the old one is known")
        again.wait_for(lambda: again.shown.builds[1].state == "draining", "it serves again")
        assert again.shown.builds[1].build == held[1]
        assert again.shown.problem
        assert {each for each in again.received if isinstance(each, Held)} == {
            Held(each.id) for each in held
        }


def test_loaded_and_unloaded_by_hand(tmp_path: Path) -> None:
    with supervised(tmp_path, first=LAZY) as supervisor:
        frontend = supervisor.connect()
        frontend.send(Load(1, "first"))
        frontend.await_state("first", "ready")
        frontend.send(Unload(2, "first"))
        frontend.await_state("first", "unloaded")
        assert supervisor.launchers("first") == []
        assert list(supervisor.folder.glob("first-*.sock")) == []


def test_builds_that_a_killed_frontend_held_are_free(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        one, two = supervisor.connect(), supervisor.connect()
        one.await_state("first", "ready")
        one.hold("first")
        two.await_state("first", "ready")
        two.send(Unload(1, "first"))
        two.wait_for(lambda: not two.current("first").pinned, "it is to be unloaded")
        assert two.current("first").state == "ready"
        one.connection.close()
        two.await_state("first", "unloaded")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\xc1", b"\xff" * 64])
def test_a_peer_with_another_protocol_is_dropped_alone(tmp_path: Path, garbage: bytes) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(PATIENCE)
            stranger.connect(str(supervisor.folder / "models.sock"))
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1 << 16):
                pass
        frontend.await_state("first", "ready")


def test_a_long_folder_leaves_less_of_a_name_in_a_socket_s_path(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * max(1, 75 - len(str(tmp_path))))
    folder.mkdir()
    with supervised(folder, 1000, **{"a-model-with-a-long-name": START}) as supervisor:
        url = supervisor.connect().await_state("a-model-with-a-long-name", "ready").url
        assert len(url) == LONGEST_PATH
        assert reply(url, b"Hello", 5)


def test_its_socket_is_for_this_user_alone_and_nothing_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with supervised(tmp_path, first=START, second=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("second", "ready")
        assert (supervisor.folder / "models.sock").stat().st_mode & 0o777 == 0o600
        everyone = family(supervisor.process.pid)
        supervisor.process.terminate()
        assert supervisor.process.wait(PATIENCE) == 0
        until(lambda: gone(everyone), "all have ended")
        assert not supervisor.folder.exists()
        log = capfd.readouterr().err
        assert "launcher started" in log
        assert "level=ERROR" not in log


def test_a_launcher_holds_no_socket_of_the_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        (launcher,) = supervisor.launchers("first")
        places = [each.laddr for each in launcher.net_connections("unix")]
        assert not [each for each in places if str(each).endswith("models.sock")]


def test_the_memory_of_all_models_is_given_or_a_share_of_what_is_free() -> None:
    assert memory_for_models(read_settings(models_memory=123)) == 123
    assert 0 < memory_for_models(read_settings()) < psutil.virtual_memory().total
