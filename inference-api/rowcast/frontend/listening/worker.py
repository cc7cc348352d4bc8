"""gunicorn's gevent worker, with JSON answers for broken HTTP and a graceful end.

What gunicorn cannot parse never reaches Flask; the answer is made here, in the same form and always
a 4xx. When the whole server stops, the worker accepts connections until its open streams have
finished, so that a new request gets 503 rather than a refused connection. When only this worker
ends (a reload, an upgrade), others serve: it stops accepting at once, and lives until every
connection that it accepted has sent a request, had its answer with `Connection: close`, or been
idle for too long. The `stopping` byte of gunicorn.conf.py tells the two cases apart; even a worker
that was too young to receive the signal sees it.
"""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event
from gunicorn.http import errors as http
from gunicorn.workers.ggevent import GeventWorker

from rowcast.errors import Overloaded, StreamCut
from rowcast.frontend.app import EXTENSION
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.listening.budget import Budget, Share
from rowcast.frontend.listening.connections import Crowd, Limits, bound_trailers
from rowcast.frontend.listening.early_refusal import Door, plain_answer
from rowcast.frontend.listening.listener import Accepting
from rowcast.frontend.sessions.client_watch import WENT_AWAY

_STATUS = {
    http.LimitRequestLine: (414, "URI Too Long"),
    http.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    http.ExpectationFailed: (417, "Expectation Failed"),
}
FIRST_STATUS_SECONDS = 2.0
READING_SECONDS = 2.0  # for requests on connections accepted just before the end
RUNNING, ENDING = 0, 1  # values of gunicorn.conf.py's `stopping`; any other: a successor serves
_OURS = (http.InvalidResponseHeader, http.InvalidResponseHeaderName, http.ConfigurationProblem)
_LINGER_SECONDS = 1.0
# The kernel gave up on the client (TCP_USER_TIMEOUT), or the connection was shut: not our fault.
_CLIENT_LOST = {errno.ETIMEDOUT, errno.EBADF, errno.EHOSTUNREACH, errno.ENETUNREACH}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Listener:
    """The only thing that gunicorn needs of a listener while it handles a connection: its address.

    The socket itself would not do. It is closed when the worker stops accepting, and a connection
    accepted a moment earlier would fail on it without an answer.
    """

    address: Any

    def getsockname(self) -> Any:
        """Return the address, as the socket did while it was open."""
        return self.address


class RowcastWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """The worker class named in gunicorn.conf.py."""

    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_flight = 0
        self._unread: set[Any] = set()  # connections whose first request has not been read yet
        self._kept: set[Any] = set()  # connections that may send another request

    def init_process(self) -> None:
        self._told_to_end = Event()
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM."""
        super().handle_exit(sig, frame)
        self._told_to_end.set()

    def run(self) -> None:
        self._await_backend()
        settings = self._frontend.settings
        secret = settings.proxy_secret
        self._door = Door(self._frontend.sessions, secret.get_secret_value() if secret else None)
        limits = Limits(connections=settings.connections, heads_bytes=settings.heads_bytes)
        self._crowd, self._bodies = Crowd(limits), Budget(settings.bodies_bytes)
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive and self._stopping == RUNNING:
            self.notify()
            self._told_to_end.wait(1.0)
        self.alive = False  # gunicorn closes each connection after its current request
        if self._stopping == ENDING:
            self._frontend.sessions.stop()
        else:
            for server in servers:
                server.close()
        self._drain()
        for server in servers:
            server.stop(timeout=0.1)
        self._frontend.close()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self._door.came_in(client)
        self._unread.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._unread.discard(client)
            self._kept.discard(client)
            self._crowd.leave(client)

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> None:
        self._crowd.begin(client)
        self._unread.discard(client)
        self._kept.discard(client)
        req.path = req.path or "/"  # http://host without a path
        bound_trailers(req)
        share = self._bodies.share("")
        req.body = _HeldBody(req.body, share, req.force_close)
        if client.crowded:
            req.force_close()
        self.in_flight += 1
        try:
            super().handle_request(listener, req, client, addr)
        except StopIteration:
            if req.must_close or not self.alive:  # the client may have sent more already
                _linger(client)
            raise
        except OSError as error:
            if error.errno not in _CLIENT_LOST:
                raise
            self.log.info("a client was given up, reason=client_gone: %s", error.strerror)
            raise StreamCut(WENT_AWAY) from None
        else:
            self._kept.add(client)
        finally:
            share.release()
            self.in_flight -= 1
            self._crowd.rest(client)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that violates HTTP."""
        if not isinstance(exc, http.ParseException) or isinstance(exc, _OURS):
            super().handle_error(req, client, addr, exc)
            return
        status, reason = _STATUS.get(type(exc), (400, "Bad Request"))
        self.log.debug("refused a request: %s", type(exc).__name__)
        message = f"Malformed HTTP request: {str(exc)[:_SHOWN]}"
        with contextlib.suppress(OSError):
            body = {"status_code": status, "message": message}
            client.sendall(plain_answer(f"{status} {reason}", body))
            _linger(client)

    @property
    def _stopping(self) -> int:
        return int(self.app.stopping[0])

    @property
    def _frontend(self) -> Frontend:
        frontend: Frontend = self.wsgi.extensions[EXTENSION]
        return frontend

    def _await_backend(self) -> None:
        """Wait for the backend before accepting, so that other workers answer in the meantime.

        At a first start there are no others, and liveness must not wait until a model is loaded.
        """
        succeeds = "GUNICORN_PID" in os.environ  # set by gunicorn while a predecessor serves
        patience = self._frontend.settings.recovery_seconds if succeeds else FIRST_STATUS_SECONDS
        until = time.monotonic() + patience
        while not self._frontend.sessions.health().ready and time.monotonic() < until:
            self.notify()
            if self._told_to_end.wait(0.02):
                return

    def _serve(self, listener: Any) -> Accepting:
        listener.setblocking(1)
        handle = partial(self.handle, Listener(listener.getsockname()))
        server = Accepting(listener, self._door, self._crowd, handle)
        server.max_accept = 1  # connections at a time; open streams run in between
        server.start()
        return server

    def _drain(self) -> None:
        """Let open streams finish, within gunicorn's graceful timeout."""
        until = time.monotonic() + self.cfg.graceful_timeout - 1.0
        reading_until = time.monotonic() + READING_SECONDS
        gevent.sleep(0.1)
        while self._is_needed(reading_until) and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.1)

    def _is_needed(self, reading_until: float) -> bool:
        """Return whether an open connection is due an answer, or may be.

        While others serve, that is every connection: a request may be on its way on it. It is
        closed after the answer, or when it has been idle for `keepalive`, as at any other time.
        """
        if self.in_flight:
            return True
        if self._stopping == ENDING:
            return bool(self._unread) and time.monotonic() < reading_until
        return bool(self._unread or self._kept)


class _HeldBody:
    """A body whose bytes are charged to a share from when they are read until its request ends."""

    def __init__(self, body: Any, share: Share, end_connection: Callable[[], None]) -> None:
        self._body = body
        self.share = share  # `app` sets its team
        self.end_connection = end_connection  # see body.leave_unread

    @property
    def failed(self) -> bool:
        """Required by gunicorn's parser."""
        return bool(self._body.failed)

    def read(self, size: int | None = None) -> bytes:
        data: bytes = self._body.read(size)
        if not self.share.take(len(data)):
            raise Overloaded(
                "the server holds as many bytes of request bodies as it may (BODIES_BYTES, of "
                "which one team gets half); send fewer large requests at once, or try again"
            )
        return data


def _linger(client: socket.socket) -> None:
    """Drain the connection: a close with unread bytes is a reset, which can destroy the answer."""
    with contextlib.suppress(OSError, gevent.Timeout), gevent.Timeout(_LINGER_SECONDS):
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            gevent.sleep(0)  # a fast sender must not block the others
