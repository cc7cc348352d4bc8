"""Detects that a client has left, in every phase of its request, even if nothing is written.

A write notices a vanished client late, and a waiting request writes nothing. So one thread waits on
an epoll set of all clients' sockets for the end of their streams (EPOLLRDHUP also detects it behind
pipelined bytes) and calls the registered callbacks. An idle client costs no polling. The kernel
ends silent clients: see `silence`.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable

from gevent import monkey

from rowcast_http.silence import Silence

_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_WAKE_SECONDS = 1.0
WENT_AWAY = "the client went away"


class ClientWatch:
    """Calls back when a watched client is gone."""

    def __init__(self, client_seconds: float | None = None) -> None:
        """`client_seconds`: how long a client may be silent; None: its listener limits that."""
        # gevent hides epoll, since waiting on it would block; only its descriptor is waited on.
        self._epoll: select.epoll = monkey.get_original("select", "epoll")()
        self._silence = _silence(client_seconds) if client_seconds is not None else None
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
        """Call `gone` once when this client leaves; return a function that ends the watch.

        `gone` must not block. End the watch before another one of the same client begins.
        """
        descriptor = client.fileno()
        if self._silence is not None and client.family in {socket.AF_INET, socket.AF_INET6}:
            with contextlib.suppress(OSError):
                self._silence.limit(client)
        self._callbacks[descriptor] = gone
        try:
            self._epoll.register(descriptor, _GONE)
        except (OSError, ValueError):  # already gone
            self._report(descriptor)

        def unwatch() -> None:
            if self._callbacks.get(descriptor) is gone:
                self._forget(descriptor)

        return unwatch

    def __len__(self) -> int:
        return len(self._callbacks)

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
            self._forget(descriptor)
            gone()

    def _forget(self, descriptor: int) -> None:
        self._callbacks.pop(descriptor, None)
        with contextlib.suppress(OSError, ValueError):  # already closed: epoll has removed it
            self._epoll.unregister(descriptor)


def _silence(client_seconds: float) -> Silence:
    seconds = max(1, round(client_seconds))
    return Silence(
        milliseconds=seconds * 1000,
        idle_seconds=max(1, seconds // 3),
        probe_seconds=max(1, seconds // 6),
    )
