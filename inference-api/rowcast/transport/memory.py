"""Both ports in one process, over plain queues: for tests, and for a server without processes.

`MemoryTransport().connect()` returns a FrontendPort, `.listen()` the BackendPort. Values are
passed unencoded; each end sees when the other closes, as with a socket. With `seconds=0` a receive
never waits: a test that drives the backend by hand reads what is there.
"""

import contextlib
import itertools
import queue
import threading
from collections.abc import Sequence

from rowcast.errors import PeerGone
from rowcast.transport.ports import Arrival, FrontendId, Gone, Joined, Wait
from rowcast.wire import Command, Event

_END = None
SECONDS = 5.0  # how long a receive waits before it returns nothing, as over a socket


class MemoryFrontendPort:
    """One frontend's end."""

    def __init__(
        self, name: FrontendId, arrivals: "queue.SimpleQueue[Arrival]", seconds: float
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._arrivals = arrivals
        self._batches: queue.SimpleQueue[list[Event] | None] = queue.SimpleQueue()
        self._open = True
        self._ended = False  # the backend has closed; what it sent may still be read

    def send(self, commands: Sequence[Command]) -> None:
        if self._ended or not self._open:
            raise PeerGone("the backend has ended")
        for command in commands:
            self._arrivals.put((self._name, command))

    def receive(self, *, until_closed: bool = False) -> list[Event]:
        seconds = None if until_closed else self._seconds
        try:
            batch = self._batches.get(timeout=seconds) if self._open else _END
        except queue.Empty:
            return []
        if batch is _END:
            self._open = False
            raise PeerGone("the backend has ended")
        return batch

    def close(self) -> None:
        if self._open:
            self._open = False
            self._arrivals.put((self._name, Gone()))
            self._batches.put(_END)

    def deliver(self, events: list[Event]) -> None:
        """Deliver events from the backend."""
        if self._open:
            self._batches.put(events)

    def end(self) -> None:
        """Note that the backend has closed."""
        self._ended = True
        self._batches.put(_END)


class MemoryBackendPort:
    """The backend's end."""

    def __init__(self) -> None:
        self.arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.frontends: dict[FrontendId, MemoryFrontendPort] = {}
        self._lock = threading.Lock()  # frontends may join while the backend closes
        self._open = True

    def join(self, name: FrontendId, port: MemoryFrontendPort) -> None:
        """Add a frontend, then announce it: the answer may be sent at once. Raises PeerGone."""
        with self._lock:
            if not self._open:
                raise PeerGone("the backend has ended")
            self.frontends[name] = port
        self.arrivals.put((name, Joined()))

    def receive(self, timeout: float) -> list[Arrival]:
        arrived: list[Arrival] = []
        with contextlib.suppress(queue.Empty):
            arrived.append(self.arrivals.get(timeout=timeout) if timeout else self._next())
            while True:
                arrived.append(self._next())
        return arrived

    def _next(self) -> Arrival:
        return self.arrivals.get_nowait()

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        if frontend in self.frontends:
            self.frontends[frontend].deliver(list(events))

    def close(self) -> None:
        with self._lock:
            self._open = False
            ended, self.frontends = self.frontends, {}
        for port in ended.values():
            port.end()


class MemoryTransport:
    """A separate connection: one backend, any number of frontends."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.backend_port = MemoryBackendPort()
        self._seconds = seconds
        self._names = itertools.count(1)

    @property
    def folder(self) -> None:
        """None: both ends meet in memory."""

    def listen(self) -> MemoryBackendPort:
        return self.backend_port

    def connect(self, wait: Wait | None = None) -> MemoryFrontendPort:  # noqa: ARG002  # no socket
        name = next(self._names)
        port = MemoryFrontendPort(name, self.backend_port.arrivals, self._seconds)
        self.backend_port.join(name, port)
        return port

    def remove(self) -> None:
        """Do nothing: memory ends with its process."""
