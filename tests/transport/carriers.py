"""Both carriers behind one face, and bounded ways to wait for what they carry."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rowcast.transport.ports import Arrival, BackendPort, FrontendPort
from rowcast.wire import Event, Tokens

PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Carrier:
    """One backend's end, and a way to open frontends' ends."""

    backend: BackendPort
    connect: Callable[[], FrontendPort]

    def arrivals(self, count: int) -> list[Arrival]:
        """The next `count` arrivals; fails when they do not come."""
        found: list[Arrival] = []
        limit = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < limit:
            found += self.backend.receive(0.1)
        assert len(found) == count, found
        return found

    def join(self) -> tuple[FrontendPort, int]:
        """A new frontend's end, and its name on the backend's side."""
        port = self.connect()
        ((name, _),) = self.arrivals(1)
        return port, name

    @contextmanager
    def pumped(self) -> Iterator[None]:
        """Meanwhile the backend goes on receiving, as its loop would, in a thread."""
        done = threading.Event()

        def pump() -> None:
            while not done.is_set():
                self.backend.receive(0.02)

        thread = threading.Thread(target=pump, name="pump")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(PATIENCE)


def events(port: FrontendPort, count: int) -> list[Event]:
    """The next `count` events of one frontend."""
    found: list[Event] = []
    while len(found) < count:
        found += port.receive()
    assert len(found) == count, found
    return found


def tokens(session: str, count: int) -> Tokens:
    """An event of about three bytes a token."""
    return Tokens(session, 0, 0, tuple(range(1000, 1000 + count)))
