"""Detects that a client has left, in every phase of its request, even if nothing is written.

A write notices a vanished client late, and a waiting request writes nothing. So one thread waits on
an epoll set of all clients' sockets for the end of their streams (EPOLLRDHUP also detects it behind
pipelined bytes) and calls the registered callbacks. The kernel ends silent clients: keep-alive
probes for those that vanished, TCP_USER_TIMEOUT for those that stopped reading.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable

from gevent import monkey

_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLONESHOT
_WAKE_SECONDS = 1.0
WENT_AWAY = "the client went away"


class ClientWatch:
    """Calls back when a watched client is gone."""

    def __init__(self, client_seconds: float) -> None:
        # gevent hides epoll, since waiting on it would block; only its descriptor is waited on.
        self._epoll: select.epoll = monkey.get_original("select", "epoll")()
        self._client_seconds = client_seconds
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._closing = False
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # signalled by `close`
        self._epoll.register(self._bell, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="client-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        os.eventfd_write(self._bell, 1)
        self._thread.join(timeout=10)
        self._epoll.close()
        os.close(self._bell)

    def watch(self, client: socket.socket, gone: Callable[[], None]) -> Callable[[], None]:
        """Call `gone` once when this client leaves; return a function that ends the watch."""
        descriptor = client.fileno()
        with contextlib.suppress(OSError):
            self._limit_silence(client)
        self._callbacks[descriptor] = gone
        try:
            self._epoll.register(descriptor, _GONE)
        except (OSError, ValueError):  # already gone
            gone()

        def unwatch() -> None:
            if self._callbacks.get(descriptor) is gone:
                del self._callbacks[descriptor]
                with contextlib.suppress(OSError):  # already closed: epoll has removed it
                    self._epoll.unregister(descriptor)

        return unwatch

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._epoll.fileno(), select.POLLIN)
        while not self._closing:
            if waiting.poll(_WAKE_SECONDS * 1000):
                for descriptor, _ in self._epoll.poll(0):
                    self._report(descriptor)

    def _report(self, descriptor: int) -> None:
        gone = self._callbacks.get(descriptor)
        if gone is not None:
            gone()

    def _limit_silence(self, client: socket.socket) -> None:
        if client.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        seconds = max(1, round(self._client_seconds))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, seconds // 3))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 6))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
