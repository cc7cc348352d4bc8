"""Starts a backend, watches it, and restarts it when it ends.

    supervisor ── forks ──▶ launcher ── forks and forks again ──▶ backend
                             │ has finished its imports and, where possible,
                             │ packed the weights, so a fork serves soon

Each process dies with its parent, however the parent ends. A backend without a heartbeat is killed,
and one that ended is restarted: at once the first time, and after longer pauses while backends fail
in a row, though soon if it had served. A backend that refuses its settings (status 2) is not
restarted: the launcher ends with 2 too, and with 3 after RESTART_LIMIT failures. Knows nothing of
HTTP, nor of other models.
"""

import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType

from rowcast.backend.warm_up import WarmUp
from rowcast.engines import MakeEngine
from rowcast.launch.backend_process import run_backend
from rowcast.launch.exit_status import BROKEN, REFUSED
from rowcast.launch.heartbeat import Heartbeat
from rowcast.launch.reports import BackendEnded, Reports
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.launch")

PAUSES = (0.0, 0.2, 1.0, 2.0, 5.0, 10.0)  # seconds until the next start, after failures in a row
LEAST_PAUSE = 0.5  # the minimum if a longer one is due, however briefly the backend served
STABLE_SECONDS = 30.0
STOP_SECONDS = 10.0


def pause_after(failures: int, served: float) -> float:
    """Return the seconds before the next start, never longer than the last backend has served.

    Open streams wait for it, so after a backend that did its work the pause stays short.
    """
    due = PAUSES[min(failures, len(PAUSES)) - 1]
    return min(due, max(LEAST_PAUSE, served)) if served else due


def memory_kills(path: Path = Path("/proc/vmstat")) -> str:
    """Return the kernel's count of out-of-memory kills; empty if it is not available."""
    with contextlib.suppress(OSError):
        found = [line for line in path.read_text().splitlines() if line.startswith("oom_kill ")]
        return "".join(found)
    return ""


class Launcher:
    """Keeps one backend alive."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        make_engine: MakeEngine,
        reports: Reports,
    ) -> None:
        self._settings = settings
        self._url = url
        self._make_engine = make_engine
        self._reports = reports
        self._warm_up = WarmUp(settings.warm_rows, settings.warm_tokens)
        self._stopping = False
        self._backend: ForkProcess | None = None
        self._failures = 0
        self._killed_outside = False  # the last backend was killed by another process

    def run(self) -> int:
        """Run backends until stopped or refused; return an exit status."""
        parent = os.getppid()
        gc.collect()
        gc.freeze()  # a collection would write to, and so copy, what the forks share
        while not self._stopping:
            started, heartbeat = time.monotonic(), Heartbeat()
            status = self._run_once(parent, heartbeat)
            served = heartbeat.since()
            if status == REFUSED:
                return REFUSED
            if not self._stopping:
                self._note_failure(status, time.monotonic() - started)
                if self._failures == self._settings.restart_limit > 0:
                    _log.error(
                        "%d backends failed in a row (RESTART_LIMIT): giving up", self._failures
                    )
                    return BROKEN
                self._pause(pause_after(self._failures, served))
        return 0

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Let the backend finish its replies, then end."""
        self._stopping = True
        if self._backend is not None and self._backend.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._backend.pid, signal.SIGTERM)

    def _run_once(self, parent: int, heartbeat: Heartbeat) -> int | None:
        context = multiprocessing.get_context("fork")
        backend = context.Process(target=self._become_backend, args=(os.getpid(), heartbeat))
        backend.name = "backend"
        out_of_memory = memory_kills()
        backend.start()
        self._backend = backend
        _log.info("backend started backend_pid=%s", backend.pid)
        blamed = False
        while not wait([backend.sentinel], timeout=1.0):
            if self._has_to_die(backend, heartbeat, orphaned=os.getppid() != parent):
                blamed = True
                backend.kill()
        backend.join()
        blamed = blamed or out_of_memory != memory_kills()
        self._killed_outside = backend.exitcode == -signal.SIGKILL and not blamed
        return backend.exitcode

    def _has_to_die(self, backend: ForkProcess, heartbeat: Heartbeat, *, orphaned: bool) -> bool:
        """True if the backend ignores a stop, or has no heartbeat."""
        self._stopping = self._stopping or orphaned
        if self._stopping:
            return not wait([backend.sentinel], timeout=0.0 if orphaned else STOP_SECONDS)
        allowed = self._settings.stall_seconds
        if backend.pid is not None and heartbeat.missed(allowed, backend.pid):
            _log.error("no heartbeat for %g s (STALL_SECONDS): killing the backend", allowed)
            return True
        return False

    def _become_backend(self, parent: int, heartbeat: Heartbeat) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent(signal.SIGKILL, parent)
        status = run_backend(
            self._settings,
            self._url,
            self._make_engine,
            heartbeat,
            replaces_killed=self._killed_outside,
            reports=self._reports,
            warm_up=self._warm_up,
        )
        sys.exit(status)

    def _note_failure(self, status: int | None, lived: float) -> None:
        self._failures = 1 if lived > STABLE_SECONDS else self._failures + 1
        self._reports.send(BackendEnded(status or 0))
        _log.error("backend ended status=%s lived=%.1f s", status, lived)

    def _pause(self, pause: float) -> None:
        _log.info("starting the backend again in %.1f s", pause)
        until = time.monotonic() + pause
        while not self._stopping and time.monotonic() < until:
            time.sleep(min(pause, 0.2))
