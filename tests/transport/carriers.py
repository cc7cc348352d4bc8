"""Both transports behind one interface, with bounded waits for their messages."""

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
    """One backend's end, and a function that opens frontends' ends."""

    backend: BackendPort
    connect: Callable[[], FrontendPort]

    def arrivals(self, count: int) -> list[Arrival]:
        """Return the next `count` arrivals; fail if they do not come."""
        found: list[Arrival] = []
        limit = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < limit:
            found += self.backend.receive(0.1)
        assert len(found) == count, found
        return found

    def join(self) -> tuple[FrontendPort, int]:
        """Return a new frontend's end, and its name on the backend's side."""
        port = self.connect()
        ((name, _),) = self.arrivals(1)
        return port, name

    @contextmanager
    def pumped(self) -> Iterator[None]:
        """Keep the backend receiving in a thread, as its loop would."""
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
    """Return the next `count` events of one frontend."""
    found: list[Event] = []
    while len(found) < count:
        found += port.receive()
    assert len(found) == count, found
    return found


def tokens(session: str, count: int) -> Tokens:
    """Return an event of about three bytes per token."""
    return Tokens(session, 0, 0, tuple(range(1000, 1000 + count)))
