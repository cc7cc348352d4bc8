"""Waits until a socket can be read, for readers that know that nothing has arrived yet.

gevent's `recv` reads before it waits. If nothing has arrived, that is a system call and an
exception in vain, for each token of a stream that is read token by token.
"""

import socket
from typing import Any

from gevent.socket import socket as GreenSocket  # noqa: N812  # a class with a lower-case name


def wait_readable(sock: socket.socket) -> None:
    """Wait until a socket can be read, was closed, or its time limit has passed: TimeoutError.

    Return at once if it is not gevent's, or closed: then reading it waits, or fails.
    """
    green: Any = sock
    if isinstance(sock, GreenSocket) and (event := green._read_event) is not None:  # noqa: SLF001
        green._wait(event)  # noqa: SLF001  # as its own `recv` does
