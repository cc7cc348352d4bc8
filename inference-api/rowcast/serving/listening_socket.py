"""The socket at which a server will listen, opened before the server starts.

No other process can take its port in the meantime, and a client reaches this server or none.
"""

import errno
import socket
import time

from rowcast.errors import InvalidField, RowcastError

BACKLOG = 2048
FREE_SECONDS = 5.0  # a killed predecessor may hold its port for a moment
LOOK_SECONDS = 0.1


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 chooses a free port. Raises RowcastError."""
    if not 0 <= port <= 65535:
        raise InvalidField("port", f"is {port}; give a number from 0 to 65535")
    until = time.monotonic() + FREE_SECONDS
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                problem = f"the server cannot listen at port {port} on {host}"
                raise RowcastError(f"{problem}: {error.strerror or error}") from error
            if time.monotonic() > until:
                advice = "stop the process that listens there, or choose another port"
                raise RowcastError(f"port {port} on {host} is in use; {advice}") from error
        time.sleep(LOOK_SECONDS)


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
