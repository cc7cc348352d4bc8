"""A small real server for the proxy's tests: threads, sockets, and answers written by the test.

`FakeUpstream.answer` is called with a `Call` for each request; it sends arbitrary bytes at any
time. Requests are kept in `calls`. It enforces no protocol, so it can stall, lie and truncate.
"""

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PATIENCE = 20.0
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    b"X-Rowcast-Seed: 7\r\nX-Accel-Buffering: no\r\nCache-Control: no-cache, no-transform\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Call:
    """One request as it arrived, and the socket for the answer."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    _sock: socket.socket
    hung_up: threading.Event = field(default_factory=threading.Event)

    def header(self, name: str) -> str | None:
        """Return the only value of a header, or None; two would be an error of the proxy."""
        values = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def answer(self, status: str, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def await_hangup(self) -> None:
        """Read until the proxy closes; a test waits for `hung_up`."""
        with contextlib.suppress(ConnectionError):
            while self._sock.recv(4096):
                pass
        self.hung_up.set()

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Answer = Callable[[Call], None]


def echo(call: Call) -> None:
    """Send the default answer: the request's body, in one piece."""
    call.answer("200 OK", call.body, "Content-Type: text/plain")


class FakeUpstream:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.answer: Answer = echo
        self.reads_bodies = True
        self.calls: queue.Queue[Call] = queue.Queue()
        self._accepting = threading.Thread(target=self._accept, name="fake-upstream", daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_call(self) -> Call:
        return self.calls.get(timeout=PATIENCE)

    def forget(self) -> None:
        """Reset for the next test."""
        self.answer = echo
        self.reads_bodies = True
        self.calls = queue.Queue()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(timeout=PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.settimeout(PATIENCE)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            call = _read_call(sock, whole=self.reads_bodies)
            if call is not None:
                self.calls.put(call)
                self.answer(call)


@contextlib.contextmanager
def fake_upstream() -> Iterator[FakeUpstream]:
    upstream = FakeUpstream()
    try:
        yield upstream
    finally:
        upstream.close()


def _read_call(sock: socket.socket, *, whole: bool) -> Call | None:
    received = b""
    while b"\r\n\r\n" not in received:
        data = sock.recv(65536)
        if not data:
            return None
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in lines)]
    length = int({name.lower(): value for name, value in headers}.get("content-length", 0))
    while whole and len(body) < length:
        body += sock.recv(65536)
    return Call(line, headers, body, sock)
