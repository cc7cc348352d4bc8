"""Accepts connections: some are turned away at the door, the others get a green thread.

Between gevent's server and gunicorn's worker, each of which goes on as if the other were next.
"""

from collections.abc import Callable
from typing import Any

from gevent import socket as green
from gevent.pool import Pool
from gevent.server import StreamServer

from rowcast.frontend.door import Door


class Client(green.socket):
    """One connection. A token is a small write, and nearly always fits.

    gevent's own `sendall` first asks the kernel how much it would take, and cuts that up: a tenth
    of a frontend's time.
    """

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Write all of it."""
        sent = self.send(data, flags)
        if sent < len(data):
            super().sendall(memoryview(data)[sent:], flags)


class Accepting(StreamServer):
    """Of one listener."""

    def __init__(self, listener: Any, door: Door, handle: Callable[..., object], most: int) -> None:
        """`handle`: what becomes of a connection; `most`: how many may be open at once."""
        super().__init__(listener, handle=handle, spawn=Pool(most))
        self._door = door

    def do_read(self) -> Any:
        """The next connection that has come, and from where."""
        listener: Any = self.socket
        try:
            descriptor, address = listener._accept()  # noqa: SLF001  # as socket.accept does
        except BlockingIOError:  # another worker was faster
            return None
        return Client(listener.family, listener.type, listener.proto, descriptor), address

    def do_handle(self, client: Any, address: Any, /) -> None:
        """Let it in, unless it has its answer already."""
        if self._door.turns_away(client):
            client.close()
        else:
            super().do_handle(client, address)
