"""Connections while no descriptor is left for them: they wait, and nobody spins or ends.

    Shortage    logs once that none is left, and once that there are some again
    Accepting   accepts the connections of a listening socket that a selector watches

A listening socket stays readable while a connection waits, so the selector would report it without
end. After an attempt that failed it is not watched for PAUSE_SECONDS.
"""

import errno
import logging
import math
import selectors
import socket
import time

_log = logging.getLogger("rowcast.transport")

PAUSE_SECONDS = 0.5
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Shortage:
    """Whether connections fail because something that the system counts has run out."""

    def __init__(self, whose: str) -> None:
        """`whose`: the connections, as the log names them."""
        self._whose = whose
        self._lasts = False

    def note(self, error: BaseException | None) -> bool:
        """Note why a connection failed; return True if no descriptor was left."""
        if not isinstance(error, OSError) or error.errno not in _SHORT:
            return False
        if not self._lasts:
            _log.error("no connections to the %s for now: %s", self._whose, error.strerror)
        self._lasts = True
        return True

    def end(self) -> None:
        """Note that a connection was made."""
        if self._lasts:
            _log.warning("connections to the %s are made again", self._whose)
        self._lasts = False


class Accepting:
    """A listening socket, watched by a selector unless no descriptor is left."""

    def __init__(
        self, listener: socket.socket, selector: selectors.BaseSelector, data: object, name: str
    ) -> None:
        """`data`: what the selector reports with it. `name`: who listens."""
        self._listener = listener
        self._selector = selector
        self._data = data
        self._shortage = Shortage(name)
        self._due = math.inf  # when it is watched again
        selector.register(listener, selectors.EVENT_READ, data)

    def accept(self) -> socket.socket | None:
        """Return the next connection; None if its peer has left, or no descriptor is left."""
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            if self._shortage.note(error):
                self._selector.unregister(self._listener)
                self._due = time.monotonic() + PAUSE_SECONDS
            return None
        self._shortage.end()
        return accepted

    def seconds(self, most: float) -> float:
        """Return how long the selector may wait, `most` at most; watch the socket if it is time."""
        left = self._due - time.monotonic()
        if left <= 0:
            self._due = math.inf
            self._selector.register(self._listener, selectors.EVENT_READ, self._data)
        return min(most, max(0.0, left)) if self._due != math.inf else most
