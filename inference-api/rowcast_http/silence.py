"""Limits how long a connection may be silent; the kernel then ends it.

Keep-alive probes detect a client that has vanished, TCP_USER_TIMEOUT one that reads nothing. On a
listening socket, every connection that it accepts inherits the limits.
"""

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long a client may be silent."""

    milliseconds: int
    idle_seconds: int  # until the first probe
    probe_seconds: int  # between probes
    probes: int = 0  # without an answer; 0: as many as the system sets

    def limit(self, sock: socket.socket) -> None:
        """Set the limits on a connection, or on a listening socket."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.idle_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.probe_seconds)
        if self.probes:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.probes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.milliseconds)
