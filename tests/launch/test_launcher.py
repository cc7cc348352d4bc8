"""The launcher of one model, under its supervisor: it keeps a backend alive, and leaves no files.

Covers `launch/__main__`, `backend_process`, `launcher_process`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from backend.driven import submit
from engine.rule import reply as expected
from processes import ROOT, awaited, children, family, gone, launchers, running_server, until
from rowcast.errors import PeerGone
from rowcast.launch.exit_status import BROKEN, REFUSED
from rowcast.launch.launcher import memory_kills
from rowcast.models.catalog import read_catalog
from rowcast.settings import read_settings
from rowcast.transport.unix_socket import UnixBackendPort, UnixFrontendPort
from rowcast.wire import Event, Finished, Status, Tokens

PATIENCE = 30.0
LAUNCHER = (sys.executable, "-m", "rowcast.launch")
HANGS_ONCE = """
import sys, time
from pathlib import Path
from rowcast import engines
from rowcast.engine import scripted_engine
from rowcast.launch.__main__ import main

def prepare(settings):
    def make_engine():
        if not hung.exists():
            hung.touch()
            time.sleep(3600)
        return scripted_engine.prepare(settings)()
    return make_engine

hung = Path(sys.argv[1])
engines.ENGINES["scripted"] = prepare
sys.exit(main())
"""


@dataclass
class Launched:
    """A supervisor of one model, and its folder."""

    process: subprocess.Popen[str]
    folder: Path

    def launcher(self) -> psutil.Process:
        return awaited(lambda: launchers(psutil.Process(self.process.pid)), "a launcher")

    def backend(self) -> psutil.Process:
        """Return the launcher's child."""
        return awaited(lambda: children(self.launcher().pid), "the backend is started")

    def connect(self) -> UnixFrontendPort:
        """Connect as a frontend, as soon as a backend listens."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            with contextlib.suppress(PeerGone, StopIteration):
                return UnixFrontendPort(str(next(self.folder.glob("*-*.sock"))))
            time.sleep(0.02)
        raise AssertionError("no backend listens")


def started(
    folder: Path, env: Mapping[str, str] | None = None, command: Sequence[str] = LAUNCHER
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "inference-api"),
            "ROWCAST_MODELS_SOCKET": str(folder / "models.sock"),
            "MODEL": "scripted",
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def launched(
    folder: Path, env: Mapping[str, str] | None = None, command: Sequence[str] = LAUNCHER
) -> Iterator[Launched]:
    """A supervisor with its own folder, as gunicorn.conf.py starts it."""
    home = folder / "home"
    home.mkdir()
    process = started(home, env, command)
    with process:
        try:
            yield Launched(process, home)
        finally:
            everyone = family(process.pid)
            process.kill()
            process.wait(PATIENCE)
            until(lambda: gone(everyone), "the end of all", PATIENCE)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launched]:
    with launched(tmp_path) as made:
        yield made


def status(port: UnixFrontendPort) -> Status:
    """Return the status that a backend sends when a frontend connects."""
    (first, *_) = port.receive()
    assert isinstance(first, Status)
    return first


def to_the_end(port: UnixFrontendPort) -> list[Event]:
    """Return all events that a backend sends before it ends."""
    events: list[Event] = []
    limit = time.monotonic() + PATIENCE
    with contextlib.suppress(PeerGone):
        while time.monotonic() < limit:
            events += port.receive()
        raise AssertionError("the backend did not end")
    return events


@pytest.mark.slow
def test_it_starts_a_backend_that_serves(launcher: Launched) -> None:
    port = launcher.connect()
    assert (status(port).model, status_rows(launcher)) == ("scripted", 32)
    port.close()


def status_rows(launcher: Launched) -> int:
    port = launcher.connect()
    rows = status(port).rows
    port.close()
    return rows


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_backend_that_ended_is_started_again(launcher: Launched, how: signal.Signals) -> None:
    port = launcher.connect()
    first = launcher.backend()
    first.send_signal(how)
    to_the_end(port)
    until(lambda: gone([first]), "its end", PATIENCE)
    assert status_rows(launcher) == 32
    assert launcher.backend().pid != first.pid


def test_only_the_first_backend_computes_a_prompt_in_advance(tmp_path: Path) -> None:
    """Open streams wait for its successors."""
    with launched(tmp_path, {"WARM_ROWS": "2", "WARM_TOKENS": "40"}) as launcher:
        assert status_rows(launcher) == 32
        first = launcher.backend()
        first.kill()
        until(lambda: gone([first]), "its end", PATIENCE)
        assert status_rows(launcher) == 32
        launcher.process.terminate()
        _, log = launcher.process.communicate(timeout=PATIENCE)
    assert log.count("warm rows=2 tokens=40") == 1
    assert log.count("backend started") == 2


def next_status(launcher: Launched) -> Status:
    """Return the next backend's status; a connection may still reach the one that ends."""
    found: list[Status] = []

    def told() -> bool:
        port = launcher.connect()
        with contextlib.suppress(PeerGone):
            found.append(status(port))
        port.close()
        return bool(found)

    until(told, "the next backend's first word", PATIENCE)
    return found[0]


@pytest.mark.parametrize(("how", "by_hand"), [(signal.SIGKILL, True), (signal.SIGABRT, False)])
def test_the_next_backend_knows_whether_somebody_killed_the_last_one(
    launcher: Launched, how: signal.Signals, *, by_hand: bool
) -> None:
    port = launcher.connect()
    assert not status(port).replaces_killed
    launcher.backend().send_signal(how)
    to_the_end(port)
    assert next_status(launcher).replaces_killed is by_hand


@pytest.mark.slow
def test_a_hung_backend_that_the_launcher_kills_was_not_killed_from_outside(tmp_path: Path) -> None:
    with launched(tmp_path, {"STALL_SECONDS": "1"}) as launcher:
        port = launcher.connect()
        status(port)
        launcher.backend().send_signal(signal.SIGSTOP)
        to_the_end(port)
        assert not next_status(launcher).replaces_killed


def test_kills_for_want_of_memory_are_counted_where_the_kernel_says_them(tmp_path: Path) -> None:
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 99\noom_kill 3\noom_kill_other 4\n")
    assert memory_kills(counts) == "oom_kill 3"
    assert memory_kills(tmp_path / "nothing") == ""


@pytest.mark.slow
def test_when_it_is_told_to_stop_nothing_is_left(launcher: Launched) -> None:
    launcher.connect().close()
    backend = launcher.backend()
    launcher.process.terminate()
    assert launcher.process.wait(PATIENCE) == 0
    assert gone([backend])
    assert not launcher.folder.exists()


@pytest.mark.slow
def test_when_it_is_killed_its_backend_dies_too(launcher: Launched) -> None:
    launcher.connect().close()
    backend = launcher.backend()
    launcher.launcher().kill()
    until(lambda: gone([backend]), "the backend's end", PATIENCE)


@pytest.mark.slow
def test_when_the_supervisor_is_killed_all_die_too(launcher: Launched) -> None:
    launcher.connect().close()
    everyone = [launcher.launcher(), launcher.backend()]
    launcher.process.kill()
    until(lambda: gone(everyone), "the end of both", PATIENCE)


@pytest.mark.slow
def test_told_to_stop_it_lets_the_backend_finish_what_it_accepted(tmp_path: Path) -> None:
    with launched(tmp_path, {"STEP_SECONDS": "0.01"}) as launcher:
        port = launcher.connect()
        status(port)
        port.send([submit("last", b"Hello", max_tokens=60)])
        events: list[Event] = []
        while not any(isinstance(event, Tokens) for event in events):
            events += port.receive()
        launcher.process.terminate()
        events += to_the_end(port)
        (end,) = [event for event in events if isinstance(event, Finished)]
        tokens = [t for event in events if isinstance(event, Tokens) for t in event.tokens]
        assert (end.reason, end.length) == ("length", 60)
        assert tuple(tokens) == expected(b"Hello", 1, 60, ignore_eos=True)[0]
        assert launcher.process.wait(PATIENCE) == 0


def refusal(process: subprocess.Popen[str]) -> str:
    """Return the message of a launcher that refuses; check that its exit status says so."""
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == REFUSED
    return said


@pytest.mark.slow
def test_a_model_that_does_not_exist_is_refused_once(tmp_path: Path) -> None:
    process = started(tmp_path, {"MODEL": "/no/such/model"})
    said = refusal(process)
    assert said.count("the backend cannot start") == 1
    assert "/no/such/model" in said


def test_a_path_where_another_backend_listens_is_refused(tmp_path: Path) -> None:
    [only] = read_catalog(read_settings(model="scripted")).builds
    living = UnixBackendPort(str(tmp_path / f"scripted-{only.id}.sock"))
    assert "another backend already listens" in refusal(started(tmp_path))
    living.close()


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    said = refusal(started(tmp_path, {"WAITING_LINE": "many"}))
    assert "invalid setting WAITING_LINE" in said


def test_without_a_path_it_refuses() -> None:
    said = refusal(started(Path(), {"ROWCAST_MODELS_SOCKET": ""}))
    assert "set ROWCAST_MODELS_SOCKET" in said


@pytest.mark.slow
def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    code = f"import subprocess, time; subprocess.Popen({LAUNCHER!r}); time.sleep(600)"
    own = {
        "PYTHONPATH": str(ROOT / "inference-api"),
        "ROWCAST_MODELS_SOCKET": str(folder / "models.sock"),
    }
    env = os.environ | own | {"MODEL": "scripted"}
    command = [sys.executable, "-c", code]
    starter = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, text=True)
    with starter:
        launcher = Launched(starter, folder)
        launcher.connect().close()
        everyone = family(starter.pid)
        assert len(everyone) == 4
        starter.kill()
        starter.wait(PATIENCE)
        until(lambda: gone(everyone), "the end of all", PATIENCE)
        assert not folder.exists()


@pytest.mark.slow
def test_a_backend_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    with launched(tmp_path, {"STALL_SECONDS": "1"}) as launcher:
        port = launcher.connect()
        status(port)
        port.send([submit("long", b"Hello", max_tokens=2000)])
        first = launcher.backend()
        first.suspend()
        until(lambda: gone([first]), "the end of who hangs", PATIENCE)
        to_the_end(port)
        assert status_rows(launcher) == 32


@pytest.mark.slow
def test_a_backend_that_hangs_while_it_loads_is_killed_and_replaced(tmp_path: Path) -> None:
    hung = tmp_path / "hung"
    command = (sys.executable, "-c", HANGS_ONCE, str(hung))
    with launched(tmp_path, {"STALL_SECONDS": "1"}, command) as launcher:
        assert next_status(launcher).rows == 32
        assert hung.exists()


@pytest.mark.slow
def test_a_backend_without_work_keeps_its_heartbeat(tmp_path: Path) -> None:
    with launched(tmp_path, {"STALL_SECONDS": "2"}) as launcher:
        launcher.connect().close()
        first = launcher.backend()
        time.sleep(5)
        assert launcher.backend().pid == first.pid


def test_after_so_many_failures_it_gives_up(tmp_path: Path) -> None:
    with launched(tmp_path, {"RESTART_LIMIT": "2"}) as launcher:
        for _ in range(2):
            launcher.connect().close()
            backend = launcher.backend()
            backend.kill()
            backend.wait(PATIENCE)
        assert launcher.process.wait(PATIENCE) == BROKEN
        assert (launcher.folder / "gave-up").read_text() == str(BROKEN)


@pytest.mark.slow
def test_in_a_folder_with_a_long_path_the_sockets_have_short_names(tmp_path: Path) -> None:
    home = tmp_path / ("h" * max(1, 107 - len(os.fsencode(tmp_path)) - 22))
    home.mkdir()
    process = started(home)
    try:
        until(lambda: bool(list(home.glob("*-*.sock"))), "a backend listens", PATIENCE)
        (path,) = home.glob("*-*.sock")
        assert not path.name.startswith("scripted"), "the build's id, and what fits of the name"
        UnixFrontendPort(str(path)).close()
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.slow
def test_a_server_starts_though_its_folder_for_temporary_files_has_a_long_path(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("t" * 60)
    folder.mkdir()
    with running_server(tmp_path, env={"TMPDIR": str(folder)}) as server:
        assert server.ready()
    assert not list(folder.glob("rowcast-*")), "nothing is left"
