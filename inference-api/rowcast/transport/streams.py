"""Frames over a Unix stream socket, whatever they mean: a length, then as many bytes.

    listen            a socket at a path, for this user alone
    ConnectedStream   the end that connected: blocking calls, plain sockets or gevent's
    AcceptedStream    the end that was accepted: never waits, buffers up to a limit

A peer that ends, does not read, or sends what cannot be decoded ends the connection: PeerGone.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from rowcast.errors import PeerGone
from rowcast.transport.ports import Wait
from rowcast.transport.socket_folder import LONGEST_PATH

_LENGTH = struct.Struct(">I")
_READ = 1 << 16
MAX_FRAME = 64 << 20
SECONDS = 5.0  # how long a send may take, and a receive waits before it returns nothing

Sent = TypeVar("Sent")
Item = TypeVar("Item")
Encode = Callable[[Sent], bytes]  # to the body of a frame
Decode = Callable[[bytes], Sequence[Item]]  # of the body of a frame; raises msgspec.DecodeError


def frame_of(body: bytes) -> bytes:
    """Return a frame with this body."""
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Splits a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def only(self, data: bytes) -> bytes | None:
        """Return the frame that `data` is, as sent per step; None if it is more, or a part."""
        if self._buffer or len(data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(data)
        return data[_LENGTH.size :] if len(data) == _LENGTH.size + length else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that `data` completes. Raises PeerGone at an impossible length."""
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


class _Received(Generic[Item]):
    """What a peer sends, decoded."""

    def __init__(self, peer: str, decode: Decode[Item]) -> None:
        self._peer = peer
        self._decode = decode
        self._frames = FrameReader()
        self.single = False  # whether the last data was one frame: it is read as fast as it is sent

    def items(self, data: bytes) -> Sequence[Item]:
        """Return what `data` completes; no data is the end of the connection. Raises PeerGone."""
        if not data:
            raise PeerGone(f"the {self._peer} has ended")
        try:
            frame = self._frames.only(data)
            self.single = frame is not None
            if frame is not None:
                return self._decode(frame)
            return [item for frame in self._frames.feed(data) for item in self._decode(frame)]
        except msgspec.DecodeError as error:
            raise PeerGone(f"the {self._peer} speaks another protocol: {error}") from error


class ConnectedStream(Generic[Sent, Item]):
    """The end that connected. Any thread may send and close; one thread receives.

    It has two descriptors, because their time limits differ: a send is short, and a wait for the
    next items may last as long as the connection. A limit costs more than what it limits, if a
    timer is started for each item.
    """

    def __init__(
        self,
        path: str,
        peer: str,
        encode: Encode[Sent],
        decode: Decode[Item],
        wait: Wait | None = None,
    ) -> None:
        """Connect. Raises PeerGone while nobody listens, or no descriptor is left.

        `peer`: its name in messages.
        `wait`: waits until a socket can be read; None: reading it is the way to wait.
        """
        self._peer = peer
        self._wait = wait
        self._encode = encode
        self._sending = threading.Lock()
        self._received = _Received(peer, decode)
        self._limit: float | None = SECONDS  # of a receive
        with contextlib.ExitStack() as opened:
            try:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                opened.callback(self._socket.close)
                self._socket.settimeout(SECONDS)
                self._reading = self._socket.dup()
                opened.callback(self._reading.close)
                self._socket.connect(path)
            except OSError as error:
                why = error.strerror or error
                raise PeerGone(f"no {peer} can be reached at {path}: {why}") from error
            opened.pop_all()

    def send(self, sent: Sent, /) -> None:
        """Send one frame, completely and in order. Raises PeerGone."""
        frame = frame_of(self._encode(sent))
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError as error:
            # Part of a frame may be sent: this connection can carry no other.
            self.close()
            raise PeerGone(f"the {self._peer} does not read: {error}") from error

    def receive(self, *, until_closed: bool = False) -> Sequence[Item]:
        """Wait for the next items; after some seconds without any, return none.

        `until_closed`: wait for them as long as the connection lasts. Raises PeerGone if the peer
        has ended, once all that it sent was returned.
        """
        try:
            if self._limit != (limit := None if until_closed else SECONDS):
                self._reading.settimeout(limit)
                self._limit = limit
            if self._wait is not None and self._received.single:
                self._wait(self._reading)  # probably nothing has arrived since
            data = self._reading.recv(_READ)
        except TimeoutError:
            return []
        except OSError as error:
            raise PeerGone(f"the {self._peer} is gone: {error}") from error
        return self._received.items(data)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._reading.close()


class AcceptedStream(Generic[Sent, Item]):
    """The end that was accepted. One thread uses it, whenever a selector reports it."""

    def __init__(
        self,
        accepted: socket.socket,
        peer: str,
        encode: Encode[Sent],
        decode: Decode[Item],
        most_unread: int,
    ) -> None:
        """`most_unread`: bytes that are buffered for a peer that does not read."""
        accepted.setblocking(False)
        self.socket = accepted
        self._peer = peer
        self._encode = encode
        self._received = _Received(peer, decode)
        self._most_unread = most_unread
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> Sequence[Item]:
        """Return the items that have arrived. Raises PeerGone."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise PeerGone(str(error)) from error
        return self._received.items(data)

    def send(self, sent: Sent, /) -> None:
        """Send one frame, or buffer it. Raises PeerGone."""
        frame = frame_of(self._encode(sent))
        if not self._unsent:
            frame = frame[self._sent(frame) :]
        if frame:
            self._unsent += frame
            self.flush()

    def flush(self) -> None:
        """Send what is buffered, as far as the peer reads it. Raises PeerGone."""
        del self._unsent[: self._sent(self._unsent)]
        if len(self._unsent) > self._most_unread:
            raise PeerGone(f"the {self._peer} left {len(self._unsent)} bytes unread")

    def _sent(self, data: bytes | bytearray) -> int:
        """Send data; return how many bytes of it the peer's buffer takes now. Raises PeerGone."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PeerGone(str(error)) from error

    def finish(self) -> None:
        """Send what is buffered to a peer that still reads, and close."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(SECONDS)
            self.socket.sendall(self._unsent)
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.socket.close()


def listen(path: str) -> socket.socket:
    """Create a listening socket for this user alone; replace the file of a dead process.

    It appears at the path only once it listens, so a socket without a listener is a dead one.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:  # it could be made there, but not connected to
        raise OSError(f"{path} is too long for a socket; set TMPDIR to a folder with a short path")
    if Path(path).is_socket():
        _refuse_if_alive(path)
        Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    fresh = Path(path).with_name(f".{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(128)
        os.link(fresh, path)  # unlike a rename, it replaces nothing
    except OSError:
        listener.close()
        raise
    finally:
        fresh.unlink(missing_ok=True)
    return listener


def _refuse_if_alive(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) == 0:
            raise OSError(f"another backend already listens at {path}")
