"""Real processes for tests: a server or a proxy on a free port of 127.0.0.1, ended by its id.

`running_server()` starts gunicorn as a user would and waits until it is ready; `family(pid)` lists
a process with all its descendants, so that tests can kill any of them and check that none is left.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
SERVER = (sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py")
SCRIPTS = Path(sys.executable).parent  # the folder of `gunicorn`, as a user calls it
FORK_SERVER = "fork server"  # the kernel's name of a supervisor's, which is no launcher
MOCK_APP = "_mock_inference_api_server:create_test_server()"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition; fail with its name if it does not become true."""
    limit = time.monotonic() + patience
    while not true():
        if time.monotonic() > limit:
            raise AssertionError(f"waited {patience} s in vain for: {what}")
        time.sleep(0.02)


def _has(process: psutil.Process, words: Sequence[str]) -> bool:
    """True if the process has not ended, and its command line contains all of `words`."""
    with contextlib.suppress(psutil.Error):
        line = " ".join(process.cmdline())
        return all(word in line for word in words)
    return False


def awaited(found: Callable[[], Sequence[psutil.Process]], what: str) -> psutil.Process:
    """Return the first of the processes that are found, as soon as there is one."""
    first: list[psutil.Process] = []

    def any_found() -> bool:
        first[:] = found()[:1]
        return bool(first)

    until(any_found, what)
    return first[0]


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill each of these that has not ended with its parent meanwhile."""
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def gone(processes: Sequence[psutil.Process]) -> bool:
    """True if all of these have ended."""
    return not any(_alive(process) for process in processes)


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def children(pid: int) -> list[psutil.Process]:
    """Return the children of a process that have not ended; none if it has ended itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [each for each in psutil.Process(pid).children() if _alive(each)]
    return []


def launchers(supervisor: psutil.Process, name: str = "") -> list[psutil.Process]:
    """Return a supervisor's launchers, or those of the model of this name."""
    found = children(supervisor.pid)
    named = [(each, kernel_name(each.pid)) for each in found]
    return [each for each, own in named if own == name[:15] or (not name and own != FORK_SERVER)]


def kernel_name(pid: int) -> str:
    """Return the name that the kernel shows: of launchers and backends, their model's."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


@dataclass
class Running:
    """A started process that listens on a port."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, *words: str) -> list[psutil.Process]:
        """Return its processes whose command line contains all of `words`."""
        return [each for each in family(self.process.pid) if _has(each, words)]

    def children(self, *words: str) -> list[psutil.Process]:
        """Return its own children whose command line contains all of `words`."""
        return [each for each in children(self.process.pid) if _has(each, words)]

    def workers(self) -> list[psutil.Process]:
        """Return gunicorn's workers: the master's children that are gunicorn too."""
        return self.children("gunicorn")

    def worker(self) -> psutil.Process:
        """Return a worker, or wait for the one that the master is about to fork."""
        return awaited(self.workers, "a worker")

    def supervisor(self) -> psutil.Process:
        """Return the supervisor, or wait for the one that the master is about to start."""
        return awaited(lambda: self.children("rowcast.launch"), "a supervisor")

    def launchers(self, name: str = "") -> list[psutil.Process]:
        """Return the launchers, or those of the model of this name."""
        return launchers(self.supervisor(), name)

    def launcher(self, name: str = "") -> psutil.Process:
        """Return a launcher, or wait for the one that the supervisor is about to fork."""
        return awaited(lambda: self.launchers(name), "a launcher")

    def backend(self, name: str = "") -> psutil.Process:
        """Return the current backend, or wait for the one that a launcher is about to fork."""
        return awaited(lambda: children(self.launcher(name).pid), "a backend")

    def get(self, path: str, timeout: float = 10) -> tuple[int, bytes]:
        """Return status and body. Tests poll with it: it costs a third of a whole client's get."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def health(self) -> dict[str, object]:
        report: dict[str, object] = json.loads(self.get("/health")[1])
        return report

    def ready(self, path: str = "/readiness", timeout: float = 10) -> bool:
        with contextlib.suppress(OSError, HTTPException):
            return self.get(path, timeout)[0] == 200
        return False

    def rows_seated(self) -> int:
        """Return the number of seated rows, as of the last second."""
        until(lambda: "rows" in self.health(), "a report with rows")
        rows = self.health()["rows"]
        assert isinstance(rows, dict)
        return int(rows["seated"])

    def waiting(self) -> int:
        """Return the number of prompts without a row, as of the last second."""
        return int(str(self.health().get("waiting", -1)))

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGTERM, patience: float = PATIENCE) -> int:
        """End it; fail if anything that it started survives it."""
        everyone = family(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(timeout=patience)
        _, alive = psutil.wait_procs(everyone, timeout=patience)
        for each in alive:
            each.kill()
        assert not alive, f"outlived their parent: {[each.pid for each in alive]}"
        return status


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    ready_path: str = "/readiness",
    patience: float = PATIENCE,
) -> Iterator[Running]:
    """Start a command and wait until it is ready; at the end, stop it and all that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Running(process, port, log)
    try:
        _await_ready(server, ready_path, patience)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the given variables, plus this process's without those that would change a server.

    The model is the scripted one, unless they name another.
    """
    ours = {
        "BACKEND_SOCKET",
        "MODEL",
        "MODELS",
        "MOCK_MODEL",
        "JWT_SECRET",
        "PROXY_SECRET",
        "UPSTREAM_URL",
    }
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"PYTHONUNBUFFERED": "1", "MODEL": "scripted"} | dict(env)


def _await_ready(server: Running, path: str, patience: float) -> None:
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        assert server.process.poll() is None, f"ended at once:\n{server.output()}"
        if server.ready(path, timeout=2):
            return
        time.sleep(0.05)
    raise AssertionError(f"not ready within {patience} s:\n{server.output()}")


@contextlib.contextmanager
def running_server(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """The mock server under gunicorn."""
    port = free_port()
    log = folder / f"server-{port}.log"
    with running(
        (*SERVER, *arguments, MOCK_APP), port, log, env={"PORT": str(port), **(env or {})}
    ) as server:
        yield server


@contextlib.contextmanager
def typed(
    command: str,
    port: int,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    ready_path: str = "/readiness",
    patience: float = PATIENCE,
) -> Iterator[Running]:
    """A command as a user types it, with this environment's programs first in PATH."""
    path = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    with running(
        ("bash", "-c", f"exec {command}"),
        port,
        log,
        env=path | dict(env or {}),
        cwd=cwd,
        ready_path=ready_path,
        patience=patience,
    ) as server:
        yield server


@contextlib.contextmanager
def running_proxy(
    folder: Path, upstream: Running, *, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """The proxy in front of a server."""
    port = free_port()
    variables = {"PROXY_PORT": str(port), "UPSTREAM_URL": upstream.url, **(env or {})}
    with running(
        (sys.executable, "proxy/proxy.py"), port, folder / f"proxy-{port}.log", env=variables
    ) as proxy:
        yield proxy
