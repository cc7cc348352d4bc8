"""Many requests at once in one thread: begun, read as they arrive, left in every way.

A `Reading` is one request and what has arrived of its answer. Its body holds whole chunks only,
which is what an HTTP client passes on. Nothing is ever retried.
"""

from __future__ import annotations

import contextlib
import gc
import selectors
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from commands.chaos.traffic.request import Request
from http_client.http1 import MalformedResponseError, ResponseReader
from local.ports import LOCAL

READ_SIZE = 1 << 16
CONNECT_SECONDS = 30.0
TURN_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class Reading:
    """One request, and what has arrived of its answer."""

    request: Request
    sock: socket.socket
    began: float
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    body: bytearray = field(default_factory=bytearray)
    arrivals: list[float] = field(default_factory=list)
    ended: float | None = None
    failure: str = ""
    local_port: int = 0  # identifies the connection at the other end
    _http: ResponseReader = field(default_factory=ResponseReader)

    @property
    def whole(self) -> bool:
        """True if a good answer has arrived completely."""
        return self.status == 200 and self._http.complete and not self.failure

    def read(self) -> bool:
        """Read what has arrived; False if nothing more will arrive."""
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return True
        except OSError as error:
            return self.end(error.strerror or "the connection failed")
        if not data:
            return self.end(self._http.close() or "")
        return self._take(data)

    def end(self, failure: str = "") -> bool:
        """Record the end of the reading."""
        self.failure = self.failure or failure
        self.ended = perf_counter()
        return False

    def _take(self, data: bytes) -> bool:
        try:
            parts = self._http.feed(data)
        except MalformedResponseError as error:
            return self.end(f"malformed answer: {error}")
        self.status, self.headers = self._http.status, self._http.headers
        if any(parts):
            self.body += b"".join(parts)
            self.arrivals.append(perf_counter())
        return not self._http.complete or self.end()


class Crowd:
    """The open readings."""

    def __init__(self, port: int) -> None:
        self.pieces = 0  # number of arrivals
        self.last = 0.0  # time of the last arrival
        self._port = port
        self._selector = selectors.DefaultSelector()

    @property
    def open(self) -> list[Reading]:
        """The readings that have not ended."""
        return [key.data for key in self._selector.get_map().values()]

    def __len__(self) -> int:
        return len(self._selector.get_map())

    def begin(self, request: Request, *, receive_buffer: int | None = None) -> Reading:
        """Connect, send the whole request, and read from now on."""
        reading = connect(self._port, request, receive_buffer)
        if reading.ended is None:
            self._selector.register(reading.sock, selectors.EVENT_READ, reading)
        return reading

    def turn(self, seconds: float = TURN_SECONDS) -> list[Reading]:
        """Read what has arrived; return the readings that have ended."""
        ended = []
        for key, _ in self._selector.select(seconds):
            reading: Reading = key.data
            known = len(reading.arrivals)
            if not reading.read():
                self._drop(reading)
                ended.append(reading)
            if len(reading.arrivals) > known:
                self.pieces += 1
                self.last = reading.arrivals[-1]
        return ended

    def drain(self, patience: float) -> list[Reading]:
        """Read until all have ended; cut those that do not end in time, with that failure."""
        limit = perf_counter() + patience
        ended: list[Reading] = []
        while len(self) and perf_counter() < limit:
            ended += self.turn()
        for reading in self.open:
            self.leave(reading, f"no end within {patience:.0f} s")
            ended.append(reading)
        return ended

    def leave(self, reading: Reading, why: str = "we left") -> None:
        """Close normally, with a FIN."""
        if reading.ended is None:
            reading.end(why)
            self._drop(reading)

    def abort(self, reading: Reading) -> None:
        """Close with an RST."""
        if reading.ended is None:
            reading.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.leave(reading)

    def half_close(self, reading: Reading) -> None:
        """Send a FIN in this direction only; the answer is still read."""
        if reading.ended is None:
            with contextlib.suppress(OSError):
                reading.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close all open readings."""
        for reading in self.open:
            self.leave(reading)
        self._selector.close()

    def _drop(self, reading: Reading) -> None:
        self._selector.unregister(reading.sock)
        reading.sock.close()


@contextlib.contextmanager
def without_gc() -> Iterator[None]:
    """Disable garbage collection, whose pauses would be counted as the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def connect(port: int, request: Request, receive_buffer: int | None = None) -> Reading:
    """Send a request; an error of the connection becomes the reading's failure."""
    reading = Reading(request, socket.socket(), perf_counter())
    if receive_buffer is not None:
        reading.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    reading.sock.settimeout(CONNECT_SECONDS)
    try:
        reading.sock.connect((LOCAL, port))
        reading.sock.sendall(request.message)
        reading.sock.setblocking(False)
        reading.local_port = int(reading.sock.getsockname()[1])
    except OSError as error:
        reading.end(error.strerror or "no connection")
        reading.sock.close()
    return reading


def read_all(
    port: int, requests: Iterable[Request], width: int, patience: float = 600.0
) -> list[Reading]:
    """Return the answers to all of these in order, sent `width` at a time."""
    crowd, readings, limit = Crowd(port), list[Reading](), perf_counter() + patience
    with contextlib.closing(crowd):
        for request in requests:
            while len(crowd) >= width and perf_counter() < limit:
                crowd.turn()
            readings.append(crowd.begin(request))
        crowd.drain(max(1.0, limit - perf_counter()))
    return readings
