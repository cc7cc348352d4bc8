"""Free ports of 127.0.0.1. Nothing reserves them: another program may take one in between."""

from __future__ import annotations

import contextlib
import socket
from itertools import islice

LOCAL = "127.0.0.1"


def free_ports(first: int, count: int) -> list[int]:
    """Return the first free ports from `first` on."""
    return list(islice(filter(_is_free, range(first, 65536)), count))


def any_free_port() -> int:
    """Return a free port that the system chooses."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError:
            return False
    return True
