"""gunicorn's gevent worker, with limits on clients and a graceful end.

A program subclasses `HttpWorker`: `open` returns its limits and how it refuses connections, and
`handle_error` words the errors of requests that cannot be parsed.

When the whole program stops, the worker accepts connections until its open requests have finished,
so that a new request gets 503 rather than a refused connection. When only this worker ends (a
reload, an upgrade), others serve: it stops accepting at once. The byte `app.stopping`, which the
master shares with its workers, tells the two cases apart; even a worker that was too young to
receive the signal sees it.
"""

import contextlib
import errno
import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Final

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from rowcast_http.body import HeldBody
from rowcast_http.budget import Budget
from rowcast_http.connections import Crowd, Limits, bound_trailers
from rowcast_http.lingering import linger
from rowcast_http.listener import Address, EarlyRefusal, Listener, NoEarlyRefusal

RUNNING, ENDING = 0, 1  # values of `app.stopping`; any other: this program's successor serves
_HEARTBEAT_SECONDS: Final = 1.0
# The master kills at the graceful timeout; stopping slightly earlier lets responses be closed.
_MARGIN_SECONDS: Final = 1.0
# The kernel gave up on the client (TCP_USER_TIMEOUT), or the connection was shut: not our fault.
_CLIENT_LOST: Final = {errno.ETIMEDOUT, errno.EBADF, errno.EHOSTUNREACH, errno.ENETUNREACH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a program adds to the worker."""

    limits: Limits
    bodies: Budget
    no_room: Callable[[str], bytes]  # the answer to a connection for which there is no room
    early: EarlyRefusal = field(default_factory=NoEarlyRefusal)
    linger_bytes: float = math.inf  # input dropped at most after a last answer


class HttpWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves the connections of one process."""

    alive: bool
    service: Service
    crowd: Crowd

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_flight = 0  # requests
        self.stopped_at = math.inf  # when the worker began to end

    def open(self) -> Service:
        """Called once, before connections are accepted."""
        raise NotImplementedError

    def end(self) -> None:
        """Called when the whole program stops, while open requests finish."""

    def close(self) -> None:
        """Called when no request is left."""

    def is_needed(self) -> bool:
        """True while a connection is due an answer."""
        return bool(self.in_flight)

    def lost_client(self, error: OSError) -> None:
        """Called when a client was given up while its request was answered."""

    @property
    def stopping(self) -> int:
        return int(self.app.stopping[0])

    def init_process(self) -> None:
        self.exit_called = Event()
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM."""
        super().handle_exit(sig, frame)
        self.exit_called.set()

    def run(self) -> None:
        self.service = self.open()
        gc.collect()
        gc.freeze()  # a full collection would visit all that was imported, and pause every stream
        self.crowd = Crowd(self.service.limits)
        listeners = [self.listen(each) for each in self.sockets]
        while self.alive and self.stopping == RUNNING:
            self.notify()
            self.exit_called.wait(_HEARTBEAT_SECONDS)
        self.alive = False  # gunicorn closes each connection after its current request
        if self.stopping == ENDING:
            self.end()
        else:
            for each in listeners:
                each.close()
        self._drain()
        for each in listeners:
            each.stop(timeout=0.1)
        self.close()
        gc.freeze()  # so that an ending interpreter searches nothing of this for garbage

    def listen(self, listener: Any) -> Listener:
        """Accept the connections of a listening socket."""
        listener.setblocking(True)
        handle = partial(self.handle, Address(listener.getsockname()))
        service = self.service
        server = Listener(listener, handle, self.crowd, service.early, service.no_room)
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.service.early.stop_counting(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self.crowd.leave(client)

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> None:
        self.crowd.begin(client)
        req.path = req.path or "/"  # http://host without a path
        bound_trailers(req)
        share = self.service.bodies.share("")
        req.body = HeldBody(req.body, share, req.force_close)
        if client.crowded:
            req.force_close()
        self.in_flight += 1
        try:
            super().handle_request(listener, req, client, addr)
        except StopIteration:
            if req.must_close or not self.alive:  # the client may have sent more already
                linger(client, self.service.linger_bytes)
            raise
        except OSError as error:
            if error.errno not in _CLIENT_LOST:
                raise
            self.lost_client(error)
            raise BrokenPipeError(errno.EPIPE, "the client went away") from None
        finally:
            share.release()
            self.in_flight -= 1
            self.crowd.rest(client)

    def answer_last(self, client: Any, answer: bytes) -> None:
        """Send an answer and close the connection, whatever the client still sends."""
        with contextlib.suppress(OSError):
            client.sendall(answer)
            linger(client, self.service.linger_bytes)

    def _drain(self) -> None:
        """Let open requests finish, within gunicorn's graceful timeout."""
        self.stopped_at = time.monotonic()
        until = self.stopped_at + self.cfg.graceful_timeout - _MARGIN_SECONDS
        gevent.sleep(0.1)
        while self.is_needed() and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.1)
