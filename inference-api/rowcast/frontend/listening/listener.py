"""Accepts connections: some are turned away at the door, the others get a green thread, as long as
there is a place for them.

Between gevent's server and gunicorn's worker, each of which goes on as if the other were next.
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
    """Of one listener."""

    def __init__(
        self, listener: Any, door: Door, crowd: Crowd, handle: Callable[..., object]
    ) -> None:
        """`handle`: what becomes of a connection."""
        super().__init__(listener, handle=handle, spawn=Pool())
        self._door = door
        self._crowd = crowd

    def do_read(self) -> Any:
        """The next connection that has come, and from where."""
        listener: Any = self.socket
        try:
            descriptor, address = listener._accept()  # noqa: SLF001  # as socket.accept does
        except BlockingIOError:  # another worker was faster
            return None
        return Connection(listener.family, listener.type, listener.proto, descriptor), address

    def do_handle(self, client: Any, address: Any, /) -> None:
        """Let it in, unless it has its answer already."""
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
        client.recv(RECEIVE)  # a close before it was read would destroy the answer
    with contextlib.suppress(OSError):
        client.send(
            plain_answer("503 Service Unavailable", body, {"Retry-After": full.retry_after})
        )
    client.close()
