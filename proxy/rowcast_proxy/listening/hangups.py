"""Sees clients that go away, also while nothing is being written to them.

One greenlet watches all clients: an epoll set asked only for hang-ups (FIN, RST, half-close, an
expired keep-alive), itself waited for by gevent's loop. So a waiting client costs no greenlet and
no polling, and a FIN is seen even behind pipelined bytes that nobody has read.
`watch(sock, cut)` calls `cut` at most once; it must not block.
"""

from __future__ import annotations

import select
from collections.abc import Callable

import gevent
from gevent import monkey, socket


class HangupWatch:
    def __init__(self) -> None:
        # gevent's patching hides epoll: waiting on one would stop the hub. Here, the hub waits.
        self._epoll: select.epoll = monkey.get_original("select", "epoll")()
        self._cuts: dict[int, Callable[[], None]] = {}
        self._greenlet = gevent.spawn(self._run)

    def watch(self, sock: socket.socket, cut: Callable[[], None]) -> None:
        descriptor = sock.fileno()
        self._cuts[descriptor] = cut
        self._epoll.register(descriptor, select.EPOLLRDHUP)

    def forget(self, sock: socket.socket) -> None:
        """To be called before the socket is closed: descriptors are used again."""
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
