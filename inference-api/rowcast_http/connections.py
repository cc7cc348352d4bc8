"""Which client connections a process keeps, and how many bytes of incomplete heads it holds.

A connection is *waiting* until the head of a request is complete, and *busy* until that request is
answered. When there are too many, of one address or in all, a waiting one is closed, never a busy
one. Connections that have never sent a complete request are closed before those that have, unless
they are very new; of the address with the most of these, the oldest is closed first. When all are
busy, a few more are accepted as `crowded`, so that health checks are still answered; the
application refuses everything else on those. Knows no HTTP but the error for a head that is too
long.
"""

import contextlib
import fcntl
import sys
import termios
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

from gevent import socket
from gunicorn.http.errors import LimitRequestHeaders

SPARE: Final = 128  # connections read beyond a limit, so that health checks are answered
RECEIVE: Final = 1 << 16  # the maximum per read: what is read ahead is not counted anywhere
HEAD_BYTES: Final = 1 << 16
_READ_AHEAD: Final = 1 << 13  # what gunicorn may read beyond a head
_LOOKS: Final = 16  # connections skipped because a request is arriving on them

ADDRESS_FULL: Final = "Your address has {} connections open, which is the limit; close some."
ALL_FULL: Final = "The limit of {} open connections is reached; try again later."


class Connection(socket.socket):
    """A client's connection. A write is a single system call if the kernel takes all of the data.

    gevent's own `sendall` first asks the kernel how much it would take, and splits the data, which
    takes a tenth of the time of a process that streams.
    """

    crowd: "Crowd | None" = None
    address: bytes = b""
    crowded: str = ""  # the reason why only health checks are answered here
    waiting: bool = False
    served: bool = False  # a complete request has arrived on it
    since: float = 0.0  # when it was accepted
    head_bytes: int = 0  # bytes received of an incomplete head

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive data; count it if it belongs to a head."""
        data: bytes = super().recv(min(size, RECEIVE), flags)
        if self.waiting and self.crowd is not None and not flags:
            self.crowd.received(self, len(data))
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Write all of the data."""
        sent = self.send(data, flags)
        if sent < len(data):
            super().sendall(memoryview(data)[sent:], flags)

    @property
    def silent(self) -> bool:
        """True if no unread bytes have arrived."""
        try:
            arrived = fcntl.ioctl(self.fileno(), termios.FIONREAD, bytes(4))
        except OSError:
            return True
        return not int.from_bytes(arrived, sys.byteorder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one process."""

    connections: int
    per_address: int = 0  # 0: no limit
    head_bytes: int = HEAD_BYTES  # per head
    heads_bytes: int = 1 << 26  # of all incomplete heads
    grace_seconds: float = 1.0  # how long a new connection may take before it counts as idle


_Group = dict[Connection, None]  # the oldest first
_Waiting = defaultdict[bytes, _Group]  # by address


class Crowd:
    """The open connections of one process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[bytes] = Counter()
        self._new: _Waiting = defaultdict(dict)
        self._kept: _Waiting = defaultdict(dict)  # those that have had an answer
        self._head_bytes = 0

    def __len__(self) -> int:
        return self._open.total()

    @property
    def unread(self) -> bool:
        """True if a connection has not sent a complete request yet."""
        return bool(self._new)

    @property
    def waiting(self) -> bool:
        """True if a connection may send a request, its first or another one."""
        return bool(self._new or self._kept)

    def enter(self, client: Connection, address: object) -> bool:
        """Admit a new connection; False if there is no place for it, not even a spare one."""
        client.address = _network(address)
        client.crowded = self._make_room(client.address)
        if client.crowded and self._spares_are_taken(client.address):
            return False
        client.crowd, client.since = self, time.monotonic()
        self._open[client.address] += 1
        self._wait(client)
        return True

    def begin(self, client: Connection) -> None:
        """Mark the connection as busy: the head of a request is complete."""
        self._unwait(client)
        client.served = True

    def rest(self, client: Connection) -> None:
        """Mark the connection as waiting: its request is answered, and another may follow."""
        if client.crowd is self:
            self._wait(client)

    def leave(self, client: Connection) -> None:
        """Remove a closed connection."""
        if client.crowd is not self:
            return
        self._unwait(client)
        client.crowd = None
        self._open[client.address] -= 1
        if not self._open[client.address]:
            del self._open[client.address]

    def received(self, client: Connection, count: int) -> None:
        """Count bytes of a head; while there are too many in all, close the longest head."""
        client.head_bytes += count
        self._head_bytes += count
        if client.head_bytes > self._limits.head_bytes + _READ_AHEAD:
            raise LimitRequestHeaders(f"the head is larger than {self._limits.head_bytes} bytes")
        while self._head_bytes > self._limits.heads_bytes:
            everyone = (each for group in self._new.values() for each in group)
            kept = (each for group in self._kept.values() for each in group)
            self._close(max((*everyone, *kept), key=lambda each: each.head_bytes))

    def _make_room(self, address: bytes) -> str:
        """Close a connection if the next would exceed a limit; return why if none can be closed."""
        most = self._limits.per_address
        if most and self._open[address] >= most and not self._close_one_of(address):
            return ADDRESS_FULL.format(most)
        most = self._limits.connections
        if len(self) >= most and not self._close_one():
            return ALL_FULL.format(most)
        return ""

    def _spares_are_taken(self, address: bytes) -> bool:
        most = self._limits.per_address
        full = most and self._open[address] >= most + SPARE
        return bool(full) or len(self) >= self._limits.connections + SPARE

    def _close_one_of(self, address: bytes) -> bool:
        """Close a waiting connection of this address; False if it has none."""
        return self._close_either(self._new.get(address), self._kept.get(address))

    def _close_one(self) -> bool:
        """Close a waiting connection of the address that has the most; False if none is waiting."""
        return self._close_either(_most(self._new), _most(self._kept))

    def _close_either(self, new: _Group | None, kept: _Group | None) -> bool:
        """Close one that never sent a request, one that has, or else a very new one."""
        chosen = _oldest(new)
        if chosen is None or time.monotonic() - chosen.since < self._limits.grace_seconds:
            chosen = _oldest(kept) or chosen
        if chosen is not None:
            self._close(chosen)
        return chosen is not None

    def _close(self, client: Connection) -> None:
        """Shut the connection down; its reader sees the end of the data."""
        self.leave(client)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _wait(self, client: Connection) -> None:
        client.waiting = True
        (self._kept if client.served else self._new)[client.address][client] = None

    def _unwait(self, client: Connection) -> None:
        self._head_bytes -= client.head_bytes
        client.head_bytes = 0
        if not client.waiting:
            return
        client.waiting = False
        waiting = self._kept if client.served else self._new
        del waiting[client.address][client]
        if not waiting[client.address]:
            del waiting[client.address]


def bound_trailers(request: Any) -> None:
    """Limit the trailers of a chunked body to the size of a head."""
    reader: Any = getattr(request.body, "reader", None)
    if hasattr(reader, "limit_trailer_section"):
        reader.limit_trailer_section = HEAD_BYTES


def _most(waiting: _Waiting) -> _Group | None:
    """Return the connections of the address that has the most."""
    return max(waiting.values(), key=len, default=None)


def _oldest(waiting: _Group | None) -> Connection | None:
    """Return the oldest connection, preferring one on which no request is arriving right now."""
    first = [client for client, _ in zip(waiting or (), range(_LOOKS), strict=False)]
    return next((client for client in first if client.silent), first[0] if first else None)


def _network(address: object) -> bytes:
    """Return what counts as one address: an IPv4 address, an IPv6 /64 network, a local socket."""
    host = str(address[0]) if isinstance(address, tuple) else ""
    if ":" not in host:
        return host.encode()
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed[:8]
