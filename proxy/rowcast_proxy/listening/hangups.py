"""Detects clients that disconnect, even while nothing is being written to them.

One greenlet watches all clients: an epoll set that reports only hang-ups (FIN, RST, half-close, an
expired keep-alive), and gevent's loop waits on that set. So an idle client costs no greenlet and no
polling, and a FIN is seen even behind unread pipelined bytes. `watch(sock, cut)` calls `cut` at
most once; it must not block.
"""

from __future__ import annotations

import select
from collections.abc import Callable

import gevent
from gevent import monkey, socket


class HangupWatch:
    def __init__(self) -> None:
        # gevent's patching hides epoll, since polling one would block the hub. Here the hub waits
        # for it.
        self._epoll: select.epoll = monkey.get_original("select", "epoll")()
        self._cuts: dict[int, Callable[[], None]] = {}
        self._greenlet = gevent.spawn(self._run)

    def watch(self, sock: socket.socket, cut: Callable[[], None]) -> None:
        descriptor = sock.fileno()
        self._cuts[descriptor] = cut
        self._epoll.register(descriptor, select.EPOLLRDHUP)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching. Call this before the socket is closed, since descriptors are reused."""
        descriptor = sock.fileno()
        if self._cuts.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._greenlet.kill()
        self._epoll.close()

    def __len__(self) -> int:
        return len(self._cuts)

    def _run(self) -> None:
        while True:
            socket.wait_read(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0):
                cut = self._cuts.pop(descriptor, None)
                if cut is not None:
                    self._epoll.unregister(descriptor)
                    cut()
