"""The messages of `messages` over a Unix stream socket, one length-prefixed frame each.

    SupervisorConnection   a frontend's end: blocking calls, plain sockets or gevent's
    FrontendConnection     the supervisor's end: never waits, buffers up to MAX_UNREAD

A frame that is no message, or a peer that does not read, ends that connection: PeerGone. Knows
nothing of what messages mean.
"""

import contextlib
import socket
import struct
import threading

import msgspec

from rowcast.errors import PeerGone
from rowcast.models.messages import (
    FromFrontend,
    FromSupervisor,
    decode_from_frontend,
    decode_from_supervisor,
    encode,
)
from rowcast.transport.unix_socket import FrameReader

SOCKET = "models.sock"
SECONDS = 5.0  # how long a send may take, and a receive waits before it returns nothing
MAX_UNREAD = 8 << 20
_READ = 1 << 16
_LENGTH = struct.Struct(">I")


def framed(message: FromFrontend | FromSupervisor) -> bytes:
    """Encode one frame."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


class SupervisorConnection:
    """A frontend's end. Any thread may send and close; one thread receives."""

    def __init__(self, path: str) -> None:
        """Connect. Raises PeerGone while there is no supervisor."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(SECONDS)
        self._sending = threading.Lock()
        self._frames = FrameReader()
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise PeerGone(f"no supervisor at {path}: {error.strerror or error}") from error

    def send(self, message: FromFrontend) -> None:
        """Send a message, completely and in order. Raises PeerGone."""
        frame = framed(message)
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError as error:  # part of a frame may be sent: no other can follow
            self.close()
            raise PeerGone(f"the supervisor takes no messages: {error}") from error

    def receive(self) -> list[FromSupervisor]:
        """Wait for the next messages; after some seconds without any, return none.

        Raises PeerGone if the supervisor has ended.
        """
        try:
            data = self._socket.recv(_READ)
        except TimeoutError:
            return []
        except OSError as error:
            raise PeerGone(f"the supervisor is gone: {error}") from error
        if not data:
            raise PeerGone("the supervisor has ended")
        try:
            return [decode_from_supervisor(frame) for frame in self._frames.feed(data)]
        except msgspec.DecodeError as error:
            raise PeerGone(f"the supervisor speaks another protocol: {error}") from error

    def close(self) -> None:
        """End the connection; the supervisor drops all that this frontend held."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class FrontendConnection:
    """The supervisor's end of one connection."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        self.socket = accepted
        self._frames = FrameReader()
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> list[FromFrontend]:
        """Return the messages that have arrived. Raises PeerGone."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise PeerGone(str(error)) from error
        if not data:
            raise PeerGone("the frontend has ended")
        try:
            return [decode_from_frontend(frame) for frame in self._frames.feed(data)]
        except msgspec.DecodeError as error:
            raise PeerGone(f"the frontend speaks another protocol: {error}") from error

    def send(self, message: FromSupervisor) -> None:
        """Send a message, or buffer it. Raises PeerGone."""
        self._unsent += framed(message)
        self.flush()

    def flush(self) -> None:
        """Send what is buffered, as far as the frontend reads it. Raises PeerGone."""
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise PeerGone(str(error)) from error
        del self._unsent[:sent]
        if len(self._unsent) > MAX_UNREAD:
            raise PeerGone(f"the frontend left {len(self._unsent)} bytes unread")

    def close(self) -> None:
        self.socket.close()
