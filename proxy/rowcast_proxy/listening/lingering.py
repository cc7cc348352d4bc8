"""Closes a connection that may have unread bytes.

A close with unread bytes sends a reset, which can destroy the answer in transit. So the answer is
ended first, and further input is read and dropped for a moment.
"""

import contextlib
from typing import Final

import gevent
from gevent import socket

_SECONDS: Final = 1.0
_BYTES: Final = 1 << 20


def linger(sock: socket.socket) -> None:
    with contextlib.suppress(OSError, gevent.Timeout), gevent.Timeout(_SECONDS):
        sock.shutdown(socket.SHUT_WR)
        left = _BYTES
        while left > 0:
            data = sock.recv(65536)
            if not data:
                return
            left -= len(data)
