"""The supervisor: does what the fleet decides. One thread, one selector.

    frontends ◀── models.sock ──▶ supervisor ◀── a pipe each ──▶ launchers, its forks
                    signals, the file of models ──┘

It is light, so that a fork costs nothing: no engine is imported here. Launchers are killed when it
ends, and their backends with them. Knows nothing of HTTP, of engines, or of what may be loaded
beside what: that is the `fleet`.
"""

import contextlib
import itertools
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

import msgspec

from rowcast.errors import PeerGone
from rowcast.launch.fleet.actions import Action, ConnectionId, GiveUp, Grant, Send, Start, Stop
from rowcast.launch.fleet.fleet import Fleet
from rowcast.launch.process_name import name_process
from rowcast.launch.reports import GRANTED, Reports, decode
from rowcast.models.build import Build
from rowcast.models.catalog import Catalog
from rowcast.models.connection import FrontendConnection
from rowcast.models.watch import CatalogWatch
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.launch")

TICK_SECONDS = 0.2
STOP_SECONDS = 12.0
RUNS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)

RunLauncher = Callable[[Settings, str, Reports], int]


@dataclass(frozen=True, slots=True)
class Launched:
    """A launcher that was forked and has not been collected."""

    pid: int
    pipe: Connection


class Supervisor:
    """Owns the launchers of one server, and the socket at which frontends speak of them."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        fleet: Fleet,
        watch: CatalogWatch,
        run_launcher: RunLauncher,
        *,
        save: Callable[[Catalog], None],  # for a successor
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._fleet = fleet
        self._watch = watch
        self._run_launcher = run_launcher
        self._save = save
        self._selector = selectors.DefaultSelector()
        self._connections: dict[ConnectionId, FrontendConnection] = {}
        self._numbers = itertools.count(1)
        self._launched: dict[str, Launched] = {}
        self._signals, self._wakeup = socket.socketpair()
        self._stopping = False
        self._status = 0  # with which it gave up

    def run(self) -> int:
        """Serve until stopped, or until the fleet gives up; return an exit status."""
        self._await_signals()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._list(self._watch.catalog)
        while not self._stopping:
            self._fleet.tick(time.monotonic())
            self._do(self._fleet.take(time.monotonic()))
            self._wait(TICK_SECONDS)
            self._read_catalog()
            self._collect()
        self._end()
        return self._status

    # In

    def _await_signals(self) -> None:
        for side in (self._signals, self._wakeup):
            side.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in RUNS:
            signal.signal(number, lambda *_: None)
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)

    def _wait(self, seconds: float) -> None:
        for key, ready in self._selector.select(seconds):
            if key.fd in self._selector.get_map():  # not closed by one before it
                key.data(ready)

    def _take_signals(self, _ready: int) -> None:
        numbers = self._signals.recv(1 << 12)
        self._stopping = self._stopping or signal.SIGTERM in numbers
        if signal.SIGHUP in numbers:
            self._list(self._watch.reload())

    def _read_catalog(self) -> None:
        self._list(self._watch.poll(time.monotonic()))

    def _list(self, catalog: Catalog | None) -> None:
        self._fleet.problem(self._watch.problem)
        if catalog is not None:
            self._fleet.list_builds(catalog.builds)
            self._save(catalog)

    def _accept(self, _ready: int) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # the frontend has left, or descriptors are short: it will retry
            return
        number = next(self._numbers)
        self._connections[number] = FrontendConnection(accepted)
        serve = partial(self._serve, number)
        self._selector.register(accepted, selectors.EVENT_READ, serve)
        self._fleet.joined(number, time.monotonic())

    def _serve(self, number: ConnectionId, ready: int) -> None:
        with self._dropping(number) as connection:
            if ready & selectors.EVENT_WRITE:
                connection.flush()
                self._await_room(connection)
            if ready & selectors.EVENT_READ:
                for message in connection.receive():
                    self._fleet.received(number, message, time.monotonic())

    def _report(self, build: str, _ready: int) -> None:
        pipe = self._launched[build].pipe
        try:
            report = decode(pipe.recv_bytes())
        except (EOFError, OSError, msgspec.DecodeError):
            self._selector.unregister(pipe)  # its end is noticed by `_collect`
            return
        self._fleet.reported(build, report, time.monotonic())

    def _collect(self) -> None:
        for build, launched in list(self._launched.items()):
            pid, status = os.waitpid(launched.pid, os.WNOHANG)
            if pid:
                self._read_last(build, launched.pipe)
                del self._launched[build]
                if not self._stopping:  # otherwise it ended since it had to
                    self._fleet.ended(build, os.waitstatus_to_exitcode(status), time.monotonic())

    def _read_last(self, build: str, pipe: Connection) -> None:
        """Take the reports that a launcher sent before it ended."""
        with contextlib.suppress(OSError):
            while pipe.fileno() in self._selector.get_map() and pipe.poll():
                self._report(build, selectors.EVENT_READ)
        if pipe.fileno() in self._selector.get_map():
            self._selector.unregister(pipe)
        pipe.close()

    # Out

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start(action.build, action.url)
                case Grant():
                    self._grant(action.build)
                case Stop():
                    self._signal(action.build, signal.SIGKILL if action.kill else signal.SIGTERM)
                case Send() if action.connection in self._connections:
                    with self._dropping(action.connection) as connection:
                        connection.send(action.message)
                        self._await_room(connection)
                case GiveUp():
                    self._status, self._stopping = action.status, True

    def _start(self, build: Build, url: str) -> None:
        ours, theirs = Pipe()
        parent = os.getpid()
        # Until a fork has handlers of its own, a signal to it would reach the supervisor's pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, RUNS)
        pid = os.fork()
        if not pid:
            ours.close()
            self._become_launcher(build, url, Reports(theirs), parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, RUNS)
        theirs.close()
        _log.info("model=%s build=%s launcher started launcher_pid=%d", build.name, build.id, pid)
        self._launched[build.id] = Launched(pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, partial(self._report, build.id))

    def _become_launcher(self, build: Build, url: str, reports: Reports, parent: int) -> NoReturn:
        """Leave all that is the supervisor's, run the launcher of a build, and exit."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in RUNS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, RUNS)
            die_with_parent(signal.SIGKILL, parent)
            self._close_all()
            name_process(build.name)
            status = self._run_launcher(build.settings(self._settings), url, reports)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except Exception:  # noqa: BLE001  # nothing of the supervisor may run in this process
            _log.exception("model=%s launcher failed", build.name)
        finally:
            logging.shutdown()
            os._exit(status)

    def _close_all(self) -> None:
        """Close every socket and pipe of the supervisor, in a fork of it."""
        self._selector.close()
        for each in (self._listener, self._signals, self._wakeup):
            each.close()
        for connection in self._connections.values():
            connection.close()
        for launched in self._launched.values():
            launched.pipe.close()

    def _grant(self, build: str) -> None:
        with contextlib.suppress(OSError):  # it has ended: `_collect` will notice
            self._launched[build].pipe.send_bytes(GRANTED)

    def _signal(self, build: str, number: signal.Signals) -> None:
        if build in self._launched:
            os.kill(self._launched[build].pid, number)  # it has not been collected yet

    @contextlib.contextmanager
    def _dropping(self, number: ConnectionId) -> Iterator[FrontendConnection]:
        """Use a connection; drop it if its frontend has ended, or is not one."""
        connection = self._connections[number]
        try:
            yield connection
        except PeerGone as reason:
            _log.debug("frontend=%d gone reason=%r", number, str(reason))
            self._selector.unregister(connection.socket)
            connection.close()
            del self._connections[number]
            self._fleet.gone(number, time.monotonic())

    def _await_room(self, connection: FrontendConnection) -> None:
        """Be told when a frontend that left messages unread reads again."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.has_unsent else 0)
        key = self._selector.get_key(connection.socket)
        if key.events != wanted:
            self._selector.modify(connection.socket, wanted, key.data)

    def _end(self) -> None:
        """End all launchers; kill those that do not end in time."""
        for build in self._launched:
            self._signal(build, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while self._launched and time.monotonic() < until:
            self._wait(TICK_SECONDS)
            self._collect()
        for build in self._launched:
            self._signal(build, signal.SIGKILL)
        for launched in self._launched.values():
            os.waitpid(launched.pid, 0)
        self._close_all()
