"""A server of our own: started and awaited, its processes by role, and ways to end them.

Also the resources that they hold. Everything is done by process id, never by name; `end` raises an
error for whatever a server leaves behind.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.child import Child
from local.ports import LOCAL
from local.processes import command_line, family, lives, private_bytes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
LOOK_SECONDS = 0.02
APPLICATION = "inference_api_server:create_server()"
COUNTED = ("--pythonpath", str(ROOT / "scripts"), "local.greenlet_count:create()")
FORK_SERVER = "fork server"
RECOVERY = b"resubmitting sessions="
_OURS = {
    "BACKEND_SOCKET",
    "MODEL",
    "MODELS",
    "MODELS_MEMORY",
    "LOAD_SECONDS",
    "MOCK_MODEL",
    "PROXY_SECRET",
    "PORT",
    "WORKERS",
    "TMPDIR",
}


class ServerError(Exception):
    """A server that fails to do what every run needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources that all processes of a server hold together."""

    descriptors: int
    threads: int
    memory: int  # bytes; shared memory counts once
    greenlets: int = 0  # as of the last second, if they are counted


class Server:
    """gunicorn, its supervisor, launchers and backends, its workers, their journals."""

    def __init__(
        self,
        folder: Path,
        port: int,
        settings: Mapping[str, str],
        files: int | None = None,
        *,
        count_greenlets: bool = False,
    ) -> None:
        """Prepare it. `files`: limit of descriptors; `count_greenlets`: in each worker."""
        self.port = port
        self.log = folder / "server.log"
        self._leftovers = folder / "tmp"
        self._leftovers.mkdir()
        self._greenlets = folder / "greenlets"
        self._greenlets.mkdir()
        self._settings = {
            **settings,
            "COUNTED_APPLICATION": APPLICATION,
            "COUNTED_FOLDER": str(self._greenlets),
        }
        self._command = _command(files, COUNTED if count_greenlets else ())
        self._part = self._new_part()
        self._read = self._counted = 0

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self._part = self._new_part()
        self._part.start()
        self._read = self._counted = 0  # its log is new
        self.wait_until(self.ready, "readiness")

    @property
    def pid(self) -> int:
        """The master's id."""
        pid = self._part.pid
        if pid is None:
            raise ServerError("it was not started")
        return pid

    @property
    def runs(self) -> bool:
        """True if the master lives."""
        return self._part.runs

    def health(self, path: str = "/health") -> dict[str, object]:
        """Return its health report; empty if it does not answer."""
        connection = http.client.HTTPConnection(LOCAL, self.port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, ValueError):
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            answer: dict[str, object] = json.loads(response.read())
            return answer | {"http": response.status}
        return {}

    def ready(self) -> bool:
        """True if a prompt would be answered now."""
        return self.health("/readiness").get("http") == 200

    def free(self) -> bool:
        """True if no row is taken and nothing waits."""
        health = self.health()
        rows = health.get("rows")
        return isinstance(rows, dict) and rows["seated"] == 0 and health.get("waiting") == 0

    def wait_until(self, true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait for a condition. Raises ServerError, naming it, if it does not become true."""
        limit = time.monotonic() + patience
        while not true():
            if not self._part.runs:
                raise ServerError(f"it ended while we waited for {what}: {self._tail()}")
            if time.monotonic() > limit:
                raise ServerError(f"waited {patience:.0f} s in vain for {what}: {self._tail()}")
            time.sleep(LOOK_SECONDS)

    def family(self) -> list[psutil.Process]:
        """Return the master and all its descendants."""
        return family(self.pid)

    def workers(self) -> list[psutil.Process]:
        """Return the frontend processes."""
        return [
            each for each in self._children(self.pid) if "rowcast.launch" not in command_line(each)
        ]

    def journals(self) -> list[psutil.Process]:
        """Return the processes that write the journal."""
        return [each for each in self.family() if "rowcast.journal.service" in command_line(each)]

    def supervisors(self) -> list[psutil.Process]:
        """Return the supervisor, if there is one now."""
        return [each for each in self._children(self.pid) if "rowcast.launch" in command_line(each)]

    def launchers(self) -> list[psutil.Process]:
        """Return the launchers of all models."""
        return [each for each in self._of_supervisors() if each.name() != FORK_SERVER]

    def fork_servers(self) -> list[psutil.Process]:
        """Return the process that forks launchers, if there is one now."""
        return [each for each in self._of_supervisors() if each.name() == FORK_SERVER]

    def backends(self) -> list[psutil.Process]:
        """Return the decoders of all models."""
        return [each for one in self.launchers() for each in self._children(one.pid)]

    def backend(self) -> psutil.Process | None:
        """Return the current decoder of a server of one model, if there is one."""
        return next(iter(self.backends()), None)

    def strays(self) -> list[psutil.Process]:
        """Return the processes that it started and that are no longer its descendants."""
        ours = {each.pid for each in self.family()}
        mark = str(self._leftovers)
        return [each for each in psutil.process_iter() if each.pid not in ours and _has(each, mark)]

    def leftovers(self) -> list[str]:
        """Return its temporary files and folders."""
        return sorted(str(each.relative_to(self._leftovers)) for each in self._leftovers.rglob("*"))

    def current_backend(self) -> psutil.Process:
        """Return the current decoder, or the next one."""
        self.wait_until(lambda: self.backend() is not None, "a backend")
        backend = self.backend()
        if backend is None:
            raise ServerError("its backend ended at once")
        return backend

    def holders(self) -> dict[int, int]:
        """Return the worker that holds each connection, by the client's port."""
        held: dict[int, int] = {}
        for worker in self.workers():
            with contextlib.suppress(psutil.Error):
                links = worker.net_connections(kind="tcp")
                held |= {link.raddr.port: worker.pid for link in links if link.raddr}
        return held

    def resources(self) -> Resources:
        """Return what its processes hold now."""
        descriptors = threads = memory = 0
        for each in self.family():
            with contextlib.suppress(psutil.Error):
                descriptors += each.num_fds()
                threads += each.num_threads()
                memory += private_bytes(each)
        return Resources(descriptors, threads, memory, sum(map(self._greenlets_of, self.workers())))

    def _greenlets_of(self, worker: psutil.Process) -> int:
        with contextlib.suppress(FileNotFoundError):  # they are not counted
            return int((self._greenlets / str(worker.pid)).read_text())
        return 0

    def recoveries(self) -> int:
        """Return how often a frontend has continued its sessions on another backend."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().split(b"\n")
        self._read += sum(len(line) + 1 for line in lines[:-1])
        self._counted += sum(RECOVERY in line for line in lines[:-1])
        return self._counted

    def send(self, how: signal.Signals) -> None:
        """Send the master a signal."""
        self._part.send(how)

    def status(self, patience: float = PATIENCE) -> int | None:
        """Return its exit status; None if it does not end within `patience`."""
        limit = time.monotonic() + patience
        while self._part.runs and time.monotonic() < limit:
            time.sleep(LOOK_SECONDS)
        return self._part.status

    def kill(self) -> None:
        """Send SIGKILL to every process."""
        everyone = self.family()
        for each in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self._part.kill()
        psutil.wait_procs(everyone, timeout=30)

    def end(self) -> None:
        """End it if it runs. Raises ServerError if it leaves a process behind."""
        everyone = self.family()
        if self._part.runs:
            self._part.send(signal.SIGQUIT)
            self.status(30)
        _, left = psutil.wait_procs(everyone, timeout=20)
        named = [command_line(each) or f"{each.pid}" for each in left]
        for each in left:
            each.kill()
        if self._part.runs:
            self._part.kill()
        if left:
            raise ServerError(f"outlived by {', '.join(named)}: {self._tail()}")

    def _new_part(self) -> Child:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        ours = {"HOST": LOCAL, "PORT": str(self.port), "TMPDIR": str(self._leftovers)}
        environment = inherited | ours | {"PYTHONUNBUFFERED": "1"} | self._settings
        return Child("server", self._command, environment, Path.cwd(), self.log)

    def _of_supervisors(self) -> list[psutil.Process]:
        return [each for one in self.supervisors() for each in self._children(one.pid)]

    def _children(self, pid: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [each for each in psutil.Process(pid).children() if lives(each)]
        return []

    def _tail(self) -> str:
        return " | ".join(self._part.tail(6))


def _has(process: psutil.Process, folder: str) -> bool:
    """True if a live process has this folder for its temporary files."""
    with contextlib.suppress(psutil.Error):
        return lives(process) and process.environ().get("TMPDIR") == folder
    return False


def _command(files: int | None, application: Sequence[str]) -> tuple[str, ...]:
    config = str(ROOT / "gunicorn.conf.py")
    server = (sys.executable, "-P", "-m", "gunicorn", "--config", config, *application)
    if files is None:
        return server
    return ("bash", "-c", f"ulimit -n {files}; exec {shlex.join(server)}")
