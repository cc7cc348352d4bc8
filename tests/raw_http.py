"""A client that shows what is on the wire: raw sockets, strict framing, every way to disconnect.

`request_bytes()` writes a request, `Client` sends one and reads as much of the answer as a test
wants, `gather()` runs many at once in one thread. A body without its end is an `Answer` that is not
`whole`; nothing is repaired, retried or guessed.
"""

import contextlib
import json
import selectors
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

PATIENCE = 30.0
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """A parsed answer."""

    status: int
    version: str
    headers: Mapping[str, str]
    body: bytes
    whole: bool  # complete by the body's own framing
    chunks: Sequence[bytes] = field(default=())

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def request_bytes(
    path: str,
    body: object = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a request that closes its connection. `body`: bytes as they are, all else as JSON."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(content)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def parse(received: bytes) -> Answer:
    """Parse the answer in these bytes, which may end anywhere after the headers."""
    head, separator, rest = received.partition(_HEAD_END)
    assert separator, f"the answer ended within its headers: {received[:200]!r}"
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = status_line.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    chunks, whole = _body(headers, rest)
    return Answer(int(status), version, headers, b"".join(chunks), whole, chunks)


def _body(headers: Mapping[str, str], data: bytes) -> tuple[list[bytes], bool]:
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(data)
    return [data], len(data) == int(headers.get("content-length", len(data)))


def _chunks(data: bytes) -> tuple[list[bytes], bool]:
    """Return the complete chunks, and whether the last, empty, one has arrived."""
    chunks: list[bytes] = []
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return chunks, data == b"\r\n"
        if len(data) < length + 2:
            break
        assert data[length : length + 2] == b"\r\n", "a chunk without its end"
        chunks.append(data[:length])
        data = data[length + 2 :]
    return chunks, False


class Client:
    """One connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def read_headers(self) -> Self:
        while _HEAD_END not in self.received:
            self._read()
        return self

    def read_body(self, count: int = 1) -> Self:
        """Read until at least `count` bytes of the body have arrived."""
        while len(self.read_headers().so_far().body) < count:
            self._read()
        return self

    def so_far(self) -> Answer:
        return parse(self.received)

    def finish(self) -> Answer:
        """Read until the server closes, and parse the answer."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(1 << 16):
                self.received += data
        return parse(self.received)

    def closed_by_server(self) -> bool:
        """Wait for the server to close, whatever it sends before."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(1 << 16):
                self.received += data
        return True

    def leave(self) -> None:
        """Close normally, with a FIN."""
        self.socket.close()

    def abort(self) -> None:
        """Close with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self) -> None:
        """Send a FIN in this direction only."""
        self.socket.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        data = self.socket.recv(1 << 16)
        assert data, f"the server closed after {self.received[-200:]!r}"
        self.received += data


def ask(port: int, data: bytes) -> Answer:
    """Send one request and read its whole answer."""
    with Client(port) as client:
        return client.send(data).finish()


def gather(port: int, requests: Sequence[bytes], patience: float = 60.0) -> list[Answer]:
    """Send all requests at once, one per connection; return the answers in the same order."""
    received = [bytearray() for _ in requests]
    limit = time.monotonic() + patience
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as clients:
        for number, data in enumerate(requests):
            client = clients.enter_context(Client(port)).send(data)
            selector.register(client.socket, selectors.EVENT_READ, number)
        while selector.get_map():
            assert time.monotonic() < limit, f"{len(selector.get_map())} answers did not end"
            for key, _ in selector.select(1.0):
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                received[key.data] += data
                if not data:
                    selector.unregister(key.fileobj)
    return [parse(bytes(data)) for data in received]
