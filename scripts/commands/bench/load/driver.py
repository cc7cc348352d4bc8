"""The socket loop: starts requests at their pace, reads what arrives, ends them.

In: a target, requests, a pace, a time limit. Out: one `Outcome` per request. One thread,
non-blocking sockets and one selector: a chunk costs about a quarter of what it costs with asyncio's
protocols, and the generator shares its cores with the server that it measures. Nothing is retried.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

from commands.bench.load.exchange import Exchange
from commands.bench.load.outcome import Outcome
from commands.bench.load.pace import Pace
from commands.bench.load.requests import Request
from commands.bench.load.target import Target
from http_client.http1 import MalformedResponseError

READ_SIZE = 16_384
STARTS_A_TURN = 16  # more would delay the measurement of answers that have already arrived
TURN_SECONDS = 0.2

Watch = Callable[["Driver"], None]


class Link:
    """One connection, and the exchange that it carries; idle if there is none."""

    __slots__ = ("exchange", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.exchange: Exchange | None = None


class Driver:
    """Runs one batch of requests against one target."""

    def __init__(
        self, target: Target, requests: Sequence[Request], pace: Pace, timeout: float, watch: Watch
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.in_flight = self.failed = 0
        self.total = len(requests)
        self._target, self._requests, self._pace = target, requests, pace
        self._timeout, self._watch = timeout, watch
        self._selector = selectors.DefaultSelector()
        self._idle: list[Link] = []
        self._deadlines: deque[tuple[float, Link, Exchange]] = deque()
        self._sent = 0

    def run(self) -> list[Outcome]:
        """Send everything, and wait for every end."""
        try:
            while len(self.outcomes) < self.total:
                self._turn()
        finally:
            self._close_all()
        return self.outcomes

    def _turn(self) -> None:
        wait = self._start_what_is_due()
        for key, mask in self._selector.select(wait):
            link: Link = key.data
            if mask & selectors.EVENT_WRITE:
                self._on_writable(link)
            else:
                self._on_readable(link)
        self._end_what_is_late(perf_counter())
        self._watch(self)

    def _start_what_is_due(self) -> float:
        """Start the requests that are due; return how long until the next one."""
        for _ in range(STARTS_A_TURN):
            if self._sent == self.total:
                return TURN_SECONDS
            now = perf_counter()
            due = self._pace.due(self._sent, self.in_flight, now)
            if due is None:
                return TURN_SECONDS
            if due > now:
                return min(due - now, TURN_SECONDS)
            self._start(due, now)
        return 0.0

    def _start(self, due: float, now: float) -> None:
        exchange = Exchange(self._requests[self._sent], self._target, due, now)
        self._sent += 1
        self.in_flight += 1
        try:
            link = self._idle.pop() if self._idle else self._connect()
        except OSError as error:
            self._note(exchange, _reason(error))
            return
        link.exchange = exchange
        self._deadlines.append((now + self._timeout, link, exchange))
        self._selector.modify(link.sock, selectors.EVENT_WRITE, link)

    def _connect(self) -> Link:
        """Begin to connect; most failures show only when the request is written."""
        link = Link(socket.socket(self._target.address.family, socket.SOCK_STREAM))
        link.sock.setblocking(False)
        link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = link.sock.connect_ex(self._target.address.sockaddr)
        if code not in {0, errno.EINPROGRESS}:
            link.sock.close()
            raise OSError(code, os.strerror(code))
        self._selector.register(link.sock, selectors.EVENT_WRITE, link)
        return link

    def _on_writable(self, link: Link) -> None:
        exchange = link.exchange
        if exchange is None:
            return
        try:
            sent = link.sock.send(exchange.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(link, exchange, _reason(error))
            return
        exchange.unsent = exchange.unsent[sent:]
        if not exchange.unsent:
            exchange.outcome.sent = perf_counter()
            self._selector.modify(link.sock, selectors.EVENT_READ, link)

    def _on_readable(self, link: Link) -> None:
        exchange = link.exchange
        if exchange is None:
            # The server closed an idle connection, or sent unrequested bytes: do not reuse it.
            self._idle.remove(link)
            self._drop(link)
            return
        try:
            data = link.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(link, exchange, _reason(error))
            return
        now = perf_counter()
        if data:
            self._on_data(link, exchange, data, now)
        else:
            self._end(link, exchange, exchange.peer_closed())

    def _on_data(self, link: Link, exchange: Exchange, data: bytes, now: float) -> None:
        try:
            exchange.feed(data, now)
        except MalformedResponseError as error:
            self._end(link, exchange, f"malformed answer: {error}")
            return
        if exchange.complete:
            self._end(link, exchange, None)

    def _end(self, link: Link, exchange: Exchange, failure: str | None) -> None:
        link.exchange = None
        self._note(exchange, failure)
        if self._target.keep_alive and failure is None and exchange.reusable:
            self._idle.append(link)
        else:
            self._drop(link)

    def _note(self, exchange: Exchange, failure: str | None) -> None:
        self.in_flight -= 1
        outcome = exchange.finish(perf_counter(), failure)
        self.outcomes.append(outcome)
        self.failed += not outcome.ok

    def _end_what_is_late(self, now: float) -> None:
        # All limits are equal, so the first to start is the first to be late.
        while self._deadlines and self._is_settled(now):
            _, link, exchange = self._deadlines.popleft()
            if link.exchange is exchange:
                self._end(link, exchange, f"no end within {self._timeout:g} s")

    def _is_settled(self, now: float) -> bool:
        deadline, link, exchange = self._deadlines[0]
        return deadline <= now or link.exchange is not exchange

    def _drop(self, link: Link) -> None:
        self._selector.unregister(link.sock)
        link.sock.close()

    def _close_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._drop(key.data)
        self._selector.close()


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
