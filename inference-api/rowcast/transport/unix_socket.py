"""Both ports over a Unix stream socket: length-prefixed msgpack frames, one batch per frame.

The backend listens, frontends connect. A dead peer is seen at once as EOF, on either side, which a
message broker or a multiprocessing queue would not show. The backend never waits for a frontend:
unread data is buffered up to a limit; beyond it the frontend counts as gone. Works unchanged with
plain sockets and gevent's.
"""

import contextlib
import itertools
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rowcast.errors import PeerGone
from rowcast.transport.ports import Arrival, FrontendId, Gone, Joined
from rowcast.wire import Command, Event, decode_commands, decode_events, encode

_LENGTH = struct.Struct(">I")
_READ = 1 << 16
LONGEST_PATH = 107  # bytes, without the zero at the end; Linux's limit
MAX_FRAME = 64 << 20
MAX_UNREAD = 64 << 20
SECONDS = 5.0  # how long a send may take, and a receive waits before it returns nothing


def framed(batch: Sequence[Command] | Sequence[Event]) -> bytes:
    """Encode one frame."""
    body = encode(batch)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Splits a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that `data` completes. Raises PeerGone at an impossible length."""
        if not self._buffer and len(data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if len(data) == _LENGTH.size + length:  # one complete frame, as sent per step
                yield data[_LENGTH.size :]
                return
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME:
                raise PeerGone(f"a frame of {length} bytes; allowed are {MAX_FRAME}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _LENGTH.size : end])
            start = end
        del self._buffer[:start]


class UnixFrontendPort:
    """A frontend's end: blocking calls, any number of threads may send."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(SECONDS)
        self._sending = threading.Lock()
        self._frames = FrameReader()
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise PeerGone(f"no backend listens at {path}: {error.strerror or error}") from error

    def send(self, commands: Sequence[Command]) -> None:
        frame = framed(commands)
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError as error:
            # Part of a frame may be sent: this connection can carry no other.
            self.close()
            raise PeerGone(f"the backend takes no commands: {error}") from error

    def receive(self) -> list[Event]:
        try:
            data = self._socket.recv(_READ)
        except TimeoutError:
            return []
        except OSError as error:
            raise PeerGone(f"the backend is gone: {error}") from error
        if not data:
            raise PeerGone("the backend has ended")
        try:
            return [event for frame in self._frames.feed(data) for event in decode_events(frame)]
        except msgspec.DecodeError as error:
            raise PeerGone(f"the backend speaks another protocol: {error}") from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class _Connection:
    """One frontend, seen from the backend."""

    def __init__(self, name: FrontendId, sock: socket.socket) -> None:
        self.name = name
        self.socket = sock
        self.frames = FrameReader()
        self.unsent = bytearray()

    def read(self) -> list[Command]:
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise PeerGone(str(error)) from error
        if not data:
            raise PeerGone("the frontend has ended")
        try:
            return [
                command for frame in self.frames.feed(data) for command in decode_commands(frame)
            ]
        except msgspec.DecodeError as error:
            raise PeerGone(f"the frontend speaks another protocol: {error}") from error

    def write(self, data: bytes = b"") -> None:
        self.unsent += data
        try:
            sent = self.socket.send(self.unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise PeerGone(str(error)) from error
        del self.unsent[:sent]
        if len(self.unsent) > MAX_UNREAD:
            raise PeerGone(f"the frontend left {len(self.unsent)} bytes unread")

    def finish(self) -> None:
        """Send the buffered data to a frontend that still reads, and close."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(SECONDS)
            self.socket.sendall(self.unsent)
        self.socket.close()


class UnixBackendPort:
    """The backend's end: one thread, which waits only in `receive`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._connections: dict[FrontendId, _Connection] = {}
        self._names = itertools.count(1)
        self._arrivals: list[Arrival] = []

    def receive(self, timeout: float) -> list[Arrival]:
        for key, ready in self._selector.select(0 if self._arrivals else timeout):
            if key.data is None:
                self._accept()
            else:
                self._serve(key.data, ready)
        arrived, self._arrivals = self._arrivals, []
        return arrived

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        connection = self._connections.get(frontend)
        if connection is not None:
            frame = framed(events)
            self._attempt(connection, lambda: connection.write(frame))

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections.values():
            connection.finish()
        self._connections.clear()
        self._listener.close()
        Path(self._path).unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # the frontend has left, or descriptors are short: it will retry
            return
        accepted.setblocking(False)
        connection = _Connection(next(self._names), accepted)
        self._connections[connection.name] = connection
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        self._arrivals.append((connection.name, Joined()))

    def _serve(self, connection: _Connection, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            self._attempt(connection, lambda: self._take(connection))
        if ready & selectors.EVENT_WRITE and connection.name in self._connections:
            self._attempt(connection, connection.write)

    def _take(self, connection: _Connection) -> None:
        self._arrivals += [(connection.name, command) for command in connection.read()]

    def _attempt(self, connection: _Connection, action: Callable[[], None]) -> None:
        try:
            action()
        except PeerGone:
            self._drop(connection)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        if self._selector.get_key(connection.socket).events != wanted:
            self._selector.modify(connection.socket, wanted, connection)

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        del self._connections[connection.name]
        self._arrivals.append((connection.name, Gone()))


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """The carrier: a socket at a path."""

    path: str

    @property
    def folder(self) -> Path:
        return Path(self.path).parent

    def listen(self) -> UnixBackendPort:
        return UnixBackendPort(self.path)

    def connect(self) -> UnixFrontendPort:
        return UnixFrontendPort(self.path)

    def remove(self) -> None:
        Path(self.path).unlink(missing_ok=True)


def listen(path: str) -> socket.socket:
    """Create a listening socket for this user alone; replace a dead one at the same path.

    It appears at the path only once it listens: a file at which nobody listens is a dead one's.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:  # it could be made there, but not connected to
        raise OSError(f"{path} is too long for a socket; set TMPDIR to a folder with a short path")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    if Path(path).is_socket():
        _refuse_if_alive(path)
        Path(path).unlink(missing_ok=True)
    fresh = Path(path).with_name(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listener.bind(str(fresh))
    fresh.chmod(0o600)
    listener.listen(128)
    os.link(fresh, path)  # unlike a rename, it replaces nothing
    fresh.unlink()
    return listener


def _refuse_if_alive(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) == 0:
            raise OSError(f"another backend already listens at {path}")
