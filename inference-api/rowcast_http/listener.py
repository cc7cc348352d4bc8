"""Accepts connections, and answers at once those that are refused.

Stands between gevent's server and gunicorn's worker, neither of which knows of it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gevent.pool import Pool
from gevent.server import StreamServer

from rowcast_http.connections import RECEIVE, Connection, Crowd


class EarlyRefusal(Protocol):
    """Looks at the first bytes of a new connection, before anything else does."""

    def refuses(self, client: Any) -> bool:
        """True if the connection was refused, with an answer, and may be closed."""

    def stop_counting(self, client: Any) -> None:
        """Called when the connection's request is being read, or the connection is closed."""


class NoEarlyRefusal:
    """Refuses nothing early."""

    def refuses(self, client: Any) -> bool:  # noqa: ARG002
        return False

    def stop_counting(self, client: Any) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Address:
    """The only thing that gunicorn needs of a listener while it serves a connection: its address.

    The socket itself would not do. It is closed when the worker stops accepting, and a connection
    accepted a moment earlier would fail on it without an answer.
    """

    address: Any

    def getsockname(self) -> Any:
        """Return the address, as the socket did while it was open."""
        return self.address


class Listener(StreamServer):
    """The server of one listening socket."""

    max_accept = 1  # connections per round of the event loop; open streams run in between

    def __init__(
        self,
        listener: Any,
        handle: Callable[..., object],
        crowd: Crowd,
        early: EarlyRefusal,
        no_room: Callable[[str], bytes],
    ) -> None:
        """`handle` serves a connection; `no_room` words the answer if there are too many."""
        super().__init__(listener, handle=handle, spawn=Pool())
        self._crowd = crowd
        self._early = early
        self._no_room = no_room

    def do_read(self) -> Any:
        """Accept the next connection; return it and its address."""
        listener: Any = self.socket
        try:
            descriptor, address = listener._accept()  # noqa: SLF001  # as socket.accept does
        except BlockingIOError:  # another worker was faster
            return None
        return Connection(listener.family, listener.type, listener.proto, descriptor), address

    def do_handle(self, client: Any, address: Any, /) -> None:
        """Serve the connection, unless it has already been answered."""
        if self._early.refuses(client):
            client.close()
        elif self._crowd.enter(client, address):
            super().do_handle(client, address)
        else:
            self._early.stop_counting(client)
            answer_unread(client, self._no_room(client.crowded))
            client.close()


def answer_unread(client: Any, answer: bytes) -> None:
    """Send an answer without waiting; drop what has arrived, since a reset would destroy it."""
    client.setblocking(False)
    with contextlib.suppress(OSError):
        client.recv(RECEIVE)
    with contextlib.suppress(OSError):  # a client that has left needs no answer
        client.send(answer)
