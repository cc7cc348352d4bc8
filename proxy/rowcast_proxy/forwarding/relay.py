"""A response on its way from the server to the client, as WSGI iterates it.

Each piece is the result of one read: a single chunk while the client keeps up, all chunks that have
arrived when it lags. It ends in one of two ways: the server's response is complete, or `StreamCut`,
which leaves the client without a clean end. `close` runs in every case and frees the row.
"""

import contextlib
import struct
import time
from typing import Final, Self

from gevent import socket

from rowcast_http.alarms import NEVER, Alarm, Alarms
from rowcast_http.client_watch import ClientWatch
from rowcast_http.readable import wait_readable
from rowcast_proxy.errors import StreamCut
from rowcast_proxy.forwarding.framing import BadFraming, Decoder
from rowcast_proxy.forwarding.inbound import InboundRequest
from rowcast_proxy.forwarding.replies import Head
from rowcast_proxy.forwarding.upstream import RECEIVE_BYTES

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Link:
    """The client and its connection to the server: if the client disconnects, both are shut."""

    def __init__(self, client: socket.socket, upstream: socket.socket, watch: ClientWatch) -> None:
        self._client = client
        self.upstream = upstream
        self.client_gone = False
        self._unwatch = watch.watch(client, self._cut)

    def _cut(self) -> None:
        """Shut both sockets down, which wakes any greenlet that is blocked on them."""
        self.client_gone = True
        for sock in (self.upstream, self._client):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def reset_on_close(self) -> None:
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def close(self) -> None:
        self._unwatch()
        self.upstream.close()


class Idleness:
    """Ends a wait for the server that takes too long: shuts the connection to it down."""

    def __init__(self, alarms: Alarms, seconds: float, upstream: socket.socket) -> None:
        self.found = False
        self._alarms = alarms
        self._seconds = seconds
        self._upstream = upstream
        self._alarm = Alarm(self._end)

    def begin(self) -> None:
        """Note that a wait begins."""
        self._alarms.set(self._alarm, time.monotonic() + self._seconds)

    def stop(self) -> None:
        """Note that it has ended."""
        self._alarm.due = NEVER

    def _end(self) -> None:
        self.found = True
        with contextlib.suppress(OSError):
            self._upstream.shutdown(socket.SHUT_RDWR)


class Relay:
    def __init__(
        self, request: InboundRequest, link: Link, idleness: Idleness, head: Head, first: bytes
    ) -> None:
        self._request = request
        self._link = link
        self._idleness = idleness
        self._decoder: Decoder = head.decoder
        self._ends_by_close = not request.speaks_1_1 and not _has_length(head)
        # May be empty: the head is sent even if the body has not begun.
        self._first: bytes | None = first
        request.reason = "client_gone"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece, self._first = self._first, None
        if piece is None:
            piece = self._next_piece()
        self._request.bytes_sent += len(piece)
        return piece

    def close(self) -> None:
        self._link.close()
        self._request.end()

    def _next_piece(self) -> bytes:
        while not self._decoder.finished:
            piece = self._decode(self._receive())
            if piece:
                return piece
        self._request.reason = "done"
        raise StopIteration

    def _receive(self) -> bytes:
        """Receive. The socket has no time limit of its own, which would cost a timer per piece."""
        self._idleness.begin()
        try:
            wait_readable(self._link.upstream)
            data = self._link.upstream.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        finally:
            self._idleness.stop()
        if not data:
            raise self._cut("upstream_idle" if self._idleness.found else "upstream_cut")
        return data

    def _decode(self, data: bytes) -> bytes:
        try:
            return self._decoder.feed(data)
        except BadFraming:
            raise self._cut("upstream_garbage") from None

    def _cut(self, reason: str) -> StreamCut:
        if not self._link.client_gone:
            self._request.reason = reason
        if self._ends_by_close:
            # Only a reset tells such a client that this close is not the end.
            self._link.reset_on_close()
        return StreamCut(reason)


def _has_length(head: Head) -> bool:
    return any(name.lower() == "content-length" for name, _ in head.headers)
