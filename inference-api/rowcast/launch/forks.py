"""The launchers of one server, as children of the supervisor.

    prepare(builds)       start the fork server, if any of these builds needs libraries
    start(build, url) ──▶ the pipe at which the reports of a new launcher arrive
    started(build, pid)   a launcher of the fork server has reported its id
    lost(build) ────────▶ the pipe of another launcher, if the fork server never forked this one
    grant, send_signal    for a launcher that runs
    collect() ──▶ those that have ended, each with its pipe and exit status

The fork server forks launchers of builds that need libraries, since it has imported them; the
supervisor forks others itself, and any that the fork server failed to fork. A launcher keeps
nothing of the supervisor: no signal handler, socket or pipe. It is killed when the supervisor ends.
Knows nothing of what launchers report.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from rowcast.engines import needs_libraries
from rowcast.launch.fork_server import AVAILABLE, ForkServer, adopt_orphans
from rowcast.launch.forked import fork_process, name_process
from rowcast.launch.reports import GRANTED, Reports
from rowcast.models.build import Build
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.launch")

START_SECONDS = 60.0  # in which the fork server imports the libraries and forks a launcher

RunLauncher = Callable[[Settings, str, Reports], int]


@dataclass(slots=True)
class Fork:
    """A launcher that has not been collected."""

    build: Build
    url: str
    pipe: Connection
    pid: int = 0  # 0: the fork server has not forked it yet
    ordered: float = 0.0  # when it was ordered of the fork server
    pending: signal.Signals | None = None  # for it, once its id is known

    def ended(self) -> int | None:
        """Return its exit status, and collect it; None while it runs."""
        if not self.pid:  # at EOF it ends, as soon as it has been forked
            return None if self.pending is None else 0
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None


class Forks:
    """The launchers that run, by build, and the fork server."""

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
        self._server: ForkServer | None = None
        self._adopts = False  # orphans: a launcher of the fork server is one for a moment

    def prepare(self, builds: Iterable[Build]) -> None:
        """Start the fork server if one of these builds will need it."""
        if self._server is None and any(map(self._needs_libraries, builds)):
            self._server = ForkServer(self._run, self._close_all)
            _log.info("fork server started fork_server_pid=%d", self._server.pid)

    def start(self, build: Build, url: str) -> Connection:
        """Start a launcher whose backend listens at `url`; return the pipe of its reports."""
        self.prepare([build])
        if self._server is None or not self._needs_libraries(build):
            return self._fork(build, url)
        ours, theirs = Pipe()
        with theirs:
            self._adopt(True)
            try:
                self._server.order(build, url, theirs)
            except OSError as reason:
                _log.warning("model=%s fork server failed reason=%s", build.name, reason)
                ours.close()
                return self._fork(build, url)
        self._forks[build.id] = Fork(build, url, ours, ordered=time.monotonic())
        return ours

    def started(self, build: str, pid: int) -> None:
        """Note the id of a launcher that the fork server has forked."""
        if fork := self._forks.get(build):  # otherwise it ends, since its pipe is closed
            fork.pid = pid
            _log_start(fork)
            if fork.pending is not None:
                self.send_signal(build, fork.pending)

    def lost(self, build: str) -> Connection | None:
        """Fork a launcher that the fork server did not fork; return its pipe. None: it had run."""
        lost = self._forks.get(build)
        if lost is None or lost.pid or lost.pending is not None:
            return None
        _log.warning("model=%s fork server failed reason=it has ended", lost.build.name)
        lost.pipe.close()
        return self._fork(lost.build, lost.url)

    def grant(self, build: str) -> None:
        with contextlib.suppress(OSError):  # it has ended, and will be collected
            self._forks[build].pipe.send_bytes(GRANTED)

    def send_signal(self, build: str, number: signal.Signals) -> None:
        fork = self._forks.get(build)
        if fork is None:
            return
        if fork.pid:
            os.kill(fork.pid, number)  # its id is its own until it is collected
        else:
            fork.pending = number

    def collect(self) -> Iterator[tuple[str, Connection, int]]:
        """Yield build, pipe and exit status of each launcher that has ended; close the pipe."""
        self._collect_server()
        for build, fork in list(self._forks.items()):
            status = fork.ended()
            if status is not None:
                del self._forks[build]
                yield build, fork.pipe, status
                fork.pipe.close()
        self._collect_orphans()

    def signal_all(self, number: signal.Signals) -> None:
        for build in self._forks:
            self.send_signal(build, number)

    def kill(self) -> None:
        """Kill the launchers that still run and the fork server; wait until they have ended."""
        self.signal_all(signal.SIGKILL)
        pids = [fork.pid for fork in self._forks.values() if fork.pid]
        if self._server is not None:
            self._server.kill()
            pids.append(self._server.pid)
        for pid in pids:
            os.waitpid(pid, 0)
        self._close_pipes()

    def __bool__(self) -> bool:
        """True if a launcher runs."""
        return bool(self._forks)

    def _fork(self, build: Build, url: str) -> Connection:
        """Fork a launcher from this process."""
        ours, theirs = Pipe()
        parent = os.getpid()

        def become() -> int:
            ours.close()
            die_with_parent(signal.SIGKILL, parent)
            self._close_all()
            name_process(build.name)
            return self._run(build, url, Reports(theirs))

        self._forks[build.id] = made = Fork(build, url, ours, fork_process(become))
        theirs.close()
        _log_start(made)
        return ours

    def _run(self, build: Build, url: str, reports: Reports) -> int:
        """Run the launcher of a build in this process."""
        return self._run_launcher(build.settings(self._settings), url, reports)

    def _needs_libraries(self, build: Build) -> bool:
        return AVAILABLE and needs_libraries(build.settings(self._settings))

    def _collect_server(self) -> None:
        """Kill a fork server that hangs; note the end of one that has ended."""
        if self._server is None:
            return
        if time.monotonic() - min(self._ordered(), default=time.monotonic()) > START_SECONDS:
            _log.error("fork server forked nothing for %g s: killing it", START_SECONDS)
            self._server.kill()
        if os.waitpid(self._server.pid, os.WNOHANG)[0]:
            _log.warning("fork server ended; the next load starts another")
            self._server.close()
            self._server = None

    def _ordered(self) -> Iterator[float]:
        return (fork.ordered for fork in self._forks.values() if not fork.pid)

    def _collect_orphans(self) -> None:
        """Once no launcher is awaited, adopt no more orphans; collect those that were adopted."""
        if any(not fork.pid for fork in self._forks.values()):
            return
        self._adopt(False)
        ours = {fork.pid for fork in self._forks.values()} | {self._server and self._server.pid}
        with contextlib.suppress(ChildProcessError):  # it has no children
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    return
                os.waitpid(ended.si_pid, 0)

    def _adopt(self, adopt: bool) -> None:
        if adopt != self._adopts:
            adopt_orphans(adopt)
            self._adopts = adopt

    def _close_all(self) -> None:
        """Close what a fork must not hold."""
        self._close_inherited()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for fork in self._forks.values():
            fork.pipe.close()
        if self._server is not None:
            self._server.close()


def _log_start(fork: Fork) -> None:
    build = fork.build
    _log.info("model=%s build=%s launcher started launcher_pid=%d", build.name, build.id, fork.pid)
