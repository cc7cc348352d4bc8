"""gunicorn's gevent worker with our manners: JSON for broken HTTP, and a graceful end.

What gunicorn cannot parse never reaches Flask; its answer is made here, in the same form and always
a 4xx. When the whole server stops, the worker goes on accepting until its open streams have
finished, so that a new request hears 503 rather than a closed door. When only this worker ends (a
reload, an upgrade), others serve: it stops accepting at once, and lives until every connection that
it accepted has sent a request, had its answer with `Connection: close`, or been idle for too long.
gunicorn.conf.py's `stopping` byte tells the two apart; it is also seen by a worker that was too
young to hear the signal.
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
READING_SECONDS = 2.0  # for requests on connections that were accepted just before the end
RUNNING, ENDING = 0, 1  # of gunicorn.conf.py's `stopping`; anything else: a successor serves
_OURS = (http.InvalidResponseHeader, http.InvalidResponseHeaderName, http.ConfigurationProblem)
_LINGER_SECONDS = 1.0
# The kernel gave the client up (TCP_USER_TIMEOUT), or its connection was shut: no fault of ours.
_CLIENT_LOST = {errno.ETIMEDOUT, errno.EBADF, errno.EHOSTUNREACH, errno.ENETUNREACH}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Listener:
    """What gunicorn asks of a listener while it handles a connection: its address.

    The socket itself would not do. It is closed when the worker stops accepting, and a connection
    that was accepted a moment before would fail on it without an answer.
    """

    address: Any

    def getsockname(self) -> Any:
        """Return the address, as the socket did while it was open."""
        return self.address


class RowcastWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Named in gunicorn.conf.py."""

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
        """SIGTERM."""
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
        self.alive = False  # gunicorn closes each connection after its present request
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
        """A request that HTTP does not allow."""
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
        """Accept nothing that cannot be answered yet, while others may: those who serve now.

        At a first start there are no others, and liveness must not wait for a model's loading.
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
        server.max_accept = 1  # of a crowd that comes at once; then open streams have their turn
        server.start()
        return server

    def _drain(self) -> None:
        """Let open streams finish, for as long as gunicorn lets us live."""
        until = time.monotonic() + self.cfg.graceful_timeout - 1.0
        reading_until = time.monotonic() + READING_SECONDS
        gevent.sleep(0.1)
        while self._is_needed(reading_until) and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.1)

    def _is_needed(self, reading_until: float) -> bool:
        """Return whether a connection is open on which an answer is due, or may be.

        Where others serve, that is every connection: a request may be on its way on it. After the
        answer it is closed, or when it has been idle for `keepalive`, as at any other time.
        """
        if self.in_flight:
            return True
        if self._stopping == ENDING:
            return bool(self._unread) and time.monotonic() < reading_until
        return bool(self._unread or self._kept)


class _HeldBody:
    """A body whose bytes count as held from when they are read until its request has ended."""

    def __init__(self, body: Any, share: Share, end_connection: Callable[[], None]) -> None:
        self._body = body
        self.share = share  # `app` says whose it is
        self.end_connection = end_connection  # see body.leave_unread

    @property
    def failed(self) -> bool:
        """See gunicorn's parser."""
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
    """A close with unread bytes is a reset, which can destroy the answer: read and drop them."""
    with contextlib.suppress(OSError, gevent.Timeout), gevent.Timeout(_LINGER_SECONDS):
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            gevent.sleep(0)  # a fast sender must not keep the others waiting
