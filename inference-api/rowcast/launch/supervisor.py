"""The supervisor: does what the fleet decides. One thread, one selector.

    frontends ◀── models.sock ──▶ supervisor ◀── a pipe each ──▶ launchers, its `forks`
                    signals, the file of models ──┘

It is light, so that a fork costs nothing: no engine is imported here. When it ends, its launchers
are killed, and their backends with them. Knows nothing of HTTP, of engines, or of which builds fit
beside each other: that is the `fleet`.
"""

import contextlib
import itertools
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection

import msgspec

from rowcast.errors import PeerGone
from rowcast.launch.fleet.actions import Action, ConnectionId, GiveUp, Grant, Send, Start, Stop
from rowcast.launch.fleet.fleet import Fleet
from rowcast.launch.forked import HANDLED
from rowcast.launch.forks import Forks, RunLauncher
from rowcast.launch.reports import Started, decode
from rowcast.models.build import Build
from rowcast.models.catalog import Catalog
from rowcast.models.connection import FrontendConnection
from rowcast.models.watch import CatalogWatch
from rowcast.settings import Settings
from rowcast.transport.descriptors import Accepting

_log = logging.getLogger("rowcast.launch")

TICK_SECONDS = 0.2
STOP_SECONDS = 12.0


class Supervisor:
    """Owns the launchers of one server, and the socket to which frontends connect."""

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
        self._listener = listener
        self._fleet = fleet
        self._watch = watch
        self._save = save
        self._selector = selectors.DefaultSelector()
        self._connections: dict[ConnectionId, FrontendConnection] = {}
        self._numbers = itertools.count(1)
        self._forks = Forks(settings, run_launcher, self._close)
        self._signals, self._wakeup = socket.socketpair()
        self._stopping = False
        self._status = 0  # with which it gave up

    def run(self) -> int:
        """Serve until stopped, or until the fleet gives up; return an exit status."""
        self._await_signals()
        self._accepting = Accepting(self._listener, self._selector, self._accept, "supervisor")
        self._take_catalog(self._watch.catalog)
        while not self._stopping:
            self._fleet.tick(time.monotonic())
            self._do(self._fleet.take(time.monotonic()))
            self._wait(TICK_SECONDS)
            self._take_catalog(self._watch.poll(time.monotonic()))
            self._collect()
        self._end()
        return self._status

    # In

    def _await_signals(self) -> None:
        for side in (self._signals, self._wakeup):
            side.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, lambda *_: None)
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)

    def _wait(self, seconds: float) -> None:
        for key, ready in self._selector.select(self._accepting.seconds(seconds)):
            if key.fd in self._selector.get_map():  # no call before it has closed this one
                key.data(ready)

    def _take_signals(self, _ready: int) -> None:
        numbers = self._signals.recv(1 << 12)
        self._stopping = self._stopping or signal.SIGTERM in numbers
        if signal.SIGHUP in numbers:
            self._take_catalog(self._watch.reload())

    def _take_catalog(self, catalog: Catalog | None) -> None:
        self._fleet.problem(self._watch.problem)
        if catalog is not None:
            self._fleet.list_builds(catalog.builds)
            self._forks.prepare(catalog.builds)
            self._save(catalog)

    def _accept(self, _ready: int) -> None:
        if (accepted := self._accepting.accept()) is None:
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

    def _report(self, build: str, pipe: Connection, _ready: int) -> None:
        try:
            report = decode(pipe.recv_bytes())
        except (EOFError, OSError, msgspec.DecodeError):
            self._selector.unregister(pipe)  # `_collect` notices that the launcher has ended
            if another := self._forks.lost(build):
                self._await_reports(build, another)
            return
        if isinstance(report, Started):
            self._forks.started(build, report.pid)
        else:
            self._fleet.reported(build, report, time.monotonic())

    def _collect(self) -> None:
        for build, pipe, status in self._forks.collect():
            self._read_last(build, pipe)
            if not self._stopping:  # otherwise it ended because it was stopped
                self._fleet.ended(build, status, time.monotonic())

    def _read_last(self, build: str, pipe: Connection) -> None:
        """Take the reports that a launcher sent before it ended."""
        with contextlib.suppress(OSError):
            while pipe.fileno() in self._selector.get_map() and pipe.poll():
                self._report(build, pipe, selectors.EVENT_READ)
        if pipe.fileno() in self._selector.get_map():
            self._selector.unregister(pipe)

    # Out

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start(action.build, action.url)
                case Grant():
                    self._forks.grant(action.build)
                case Stop():
                    number = signal.SIGKILL if action.kill else signal.SIGTERM
                    self._forks.send_signal(action.build, number)
                case Send() if action.connection in self._connections:
                    with self._dropping(action.connection) as connection:
                        connection.send(action.message)
                        self._await_room(connection)
                case GiveUp():
                    self._status, self._stopping = action.status, True

    def _start(self, build: Build, url: str) -> None:
        self._await_reports(build.id, self._forks.start(build, url))

    def _await_reports(self, build: str, pipe: Connection) -> None:
        report = partial(self._report, build, pipe)
        self._selector.register(pipe, selectors.EVENT_READ, report)

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
        """While messages are unsent, wait until the frontend reads again, too."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.has_unsent else 0)
        key = self._selector.get_key(connection.socket)
        if key.events != wanted:
            self._selector.modify(connection.socket, wanted, key.data)

    def _end(self) -> None:
        """End all launchers; kill those that do not end in time."""
        self._forks.signal_all(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while self._forks and time.monotonic() < until:
            self._wait(TICK_SECONDS)
            self._collect()
        self._forks.kill()
        self._close()

    def _close(self) -> None:
        """Close all sockets, here or in a fork."""
        self._selector.close()
        for each in (self._listener, self._signals, self._wakeup):
            each.close()
        for connection in self._connections.values():
            connection.close()
