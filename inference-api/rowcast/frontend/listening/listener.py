"""Accepts connections: refuses some early, and serves the others in green threads.

The number of connections is limited. Stands between gevent's server and gunicorn's worker, neither
of which knows of it.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from gevent.pool import Pool
from gevent.server import StreamServer

from rowcast.errors import Overloaded
from rowcast.frontend.listening.connections import RECEIVE, Connection, Crowd
from rowcast.frontend.listening.early_refusal import Door, plain_answer


class Accepting(StreamServer):
    """The server of one listening socket."""

    def __init__(
        self, listener: Any, door: Door, crowd: Crowd, handle: Callable[..., object]
    ) -> None:
        """`handle`: the function that serves a connection."""
        super().__init__(listener, handle=handle, spawn=Pool())
        self._door = door
        self._crowd = crowd

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
        if self._door.turns_away(client):
            client.close()
        elif self._crowd.enter(client, address):
            super().do_handle(client, address)
        else:
            self._door.came_in(client)
            _refuse(client)


def _refuse(client: Connection) -> None:
    full = Overloaded(client.crowded)
    body = {"status_code": full.status, "message": str(full)}
    client.setblocking(False)
    with contextlib.suppress(OSError):
        client.recv(RECEIVE)  # closing with unread bytes would destroy the answer
    with contextlib.suppress(OSError):
        client.send(
            plain_answer("503 Service Unavailable", body, {"Retry-After": full.retry_after})
        )
    client.close()
