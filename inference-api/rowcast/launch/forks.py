"""The launchers of one server, as forks of the supervisor.

    start(build, url) ──▶ the pipe at which the reports of a new launcher arrive
    grant, send_signal    for a launcher that runs
    collect() ──▶ those that have ended, each with its pipe and exit status

A fork keeps nothing of the supervisor: no signal handler, socket or pipe. It is killed when the
supervisor ends. Knows nothing of what launchers report.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from rowcast.launch.process_name import name_process
from rowcast.launch.reports import GRANTED, Reports
from rowcast.models.build import Build
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.launch")

HANDLED = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)  # by the supervisor

RunLauncher = Callable[[Settings, str, Reports], int]


@dataclass(frozen=True, slots=True)
class Fork:
    """A launcher that was forked and has not been collected."""

    pid: int
    pipe: Connection


class Forks:
    """The launchers that run, by build."""

    def __init__(
        self,
        settings: Settings,
        run_launcher: RunLauncher,
        close_inherited: Callable[[], None],  # what a fork must not hold, besides these pipes
    ) -> None:
        self._settings = settings
        self._run_launcher = run_launcher
        self._close_inherited = close_inherited
        self._forks: dict[str, Fork] = {}

    def start(self, build: Build, url: str) -> Connection:
        """Fork a launcher whose backend listens at `url`; return the pipe of its reports."""
        ours, theirs = Pipe()
        parent = os.getpid()
        # Until a fork has handlers of its own, a signal to it would reach the supervisor's pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        pid = os.fork()
        if not pid:
            ours.close()
            self._become_launcher(build, url, Reports(theirs), parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        theirs.close()
        _log.info("model=%s build=%s launcher started launcher_pid=%d", build.name, build.id, pid)
        self._forks[build.id] = Fork(pid, ours)
        return ours

    def _become_launcher(self, build: Build, url: str, reports: Reports, parent: int) -> NoReturn:
        """Close all that is the supervisor's, run the launcher of a build, and exit."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in HANDLED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
            die_with_parent(signal.SIGKILL, parent)
            self._close_inherited()
            self._close_pipes()
            name_process(build.name)
            status = self._run_launcher(build.settings(self._settings), url, reports)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except Exception:  # noqa: BLE001  # no code of the supervisor may run in this process
            _log.exception("model=%s launcher failed", build.name)
        finally:
            logging.shutdown()
            os._exit(status)

    def grant(self, build: str) -> None:
        with contextlib.suppress(OSError):  # it has ended, and will be collected
            self._forks[build].pipe.send_bytes(GRANTED)

    def send_signal(self, build: str, number: signal.Signals) -> None:
        if build in self._forks:
            os.kill(self._forks[build].pid, number)  # its id is its own until it is collected

    def collect(self) -> Iterator[tuple[str, Connection, int]]:
        """Yield build, pipe and exit status of each launcher that has ended; close the pipe."""
        for build, fork in list(self._forks.items()):
            pid, status = os.waitpid(fork.pid, os.WNOHANG)
            if pid:
                del self._forks[build]
                yield build, fork.pipe, os.waitstatus_to_exitcode(status)
                fork.pipe.close()

    def signal_all(self, number: signal.Signals) -> None:
        for build in self._forks:
            self.send_signal(build, number)

    def kill(self) -> None:
        """Kill the launchers that still run, and wait until they have ended."""
        self.signal_all(signal.SIGKILL)
        for fork in self._forks.values():
            os.waitpid(fork.pid, 0)
        self._close_pipes()

    def _close_pipes(self) -> None:
        for fork in self._forks.values():
            fork.pipe.close()

    def __bool__(self) -> bool:
        """True if a launcher runs."""
        return bool(self._forks)
