"""Closes a connection that may have unread bytes.

A close with unread bytes sends a reset, which can destroy the answer in transit. So the answer is
ended first, and further input is read and dropped for a moment.
"""

import contextlib
import math
from typing import Any, Final

import gevent
from gevent import socket

from rowcast_http.rest import REST_SECONDS

_SECONDS: Final = 1.0
_STEP: Final = 1 << 16


def linger(client: Any, most: float = math.inf) -> None:
    """End the answer; read and drop input for a second, `most` bytes at most."""
    with contextlib.suppress(OSError, gevent.Timeout), gevent.Timeout(_SECONDS):
        client.shutdown(socket.SHUT_WR)
        dropped = 0
        while dropped < most and (data := client.recv(_STEP)):
            dropped += len(data)
            gevent.sleep(REST_SECONDS)  # a fast sender must not block the others
