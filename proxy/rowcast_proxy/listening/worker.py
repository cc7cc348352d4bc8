"""gunicorn's gevent worker, with stricter error handling and limits.

What it adds: protocol errors are answered as JSON and are never a 5xx; the kernel cuts a client
that stalls or has silently vanished; connections and their input are bounded (`connections`); on a
graceful stop open streams finish while new requests get a 503 instead of a refused connection.
Knows nothing of tokens or routes.
"""

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import gevent
from gevent import socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import errors as http
from gunicorn.workers.ggevent import GeventWorker

from rowcast_proxy.errors import StreamCut, error_body
from rowcast_proxy.forwarding.inbound import DRAINING, FORCE_CLOSE, WSGIEnviron
from rowcast_proxy.listening.connections import RECEIVE, Connection, Crowd, Limits, bound_trailers
from rowcast_proxy.listening.lingering import linger

_HEARTBEAT_S: Final = 1.0
# The arbiter kills at the graceful timeout; stopping slightly earlier lets responses be closed.
_MARGIN_S: Final = 1.0

_FAULTS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (http.LimitRequestLine, 414, "The request line is too long."),
    (http.LimitRequestHeaders, 431, "The headers are too long, or too many."),
    (http.ExpectationFailed, 417, "The only expectation supported is 100-continue."),
    (http.UnsupportedTransferCoding, 400, "The only transfer coding supported is chunked."),
    (http.InvalidRequestMethod, 400, "The method is malformed."),
    (http.InvalidHTTPVersion, 400, "The only versions supported are HTTP/1.1 and HTTP/1.0."),
    (http.InvalidRequestLine, 400, "The request line is malformed."),
    (http.ObsoleteFolding, 400, "A header is folded over several lines."),
    (http.InvalidHeaderName, 400, "The name of a header is malformed."),
    (http.InvalidHeader, 400, "A header is malformed, repeated or contradicts another."),
    (http.ParseException, 400, "The request is not valid HTTP."),
)

# The kernel gave up on the client (TCP_USER_TIMEOUT), or `relay` shut its socket down: both are
# already in the request's log line, so the error log need not repeat them.
_CLIENT_LOST: Final = frozenset(
    {errno.ETIMEDOUT, errno.EBADF, errno.EHOSTUNREACH, errno.ENETUNREACH}
)

_log = logging.getLogger(__name__)


class ProxyWorker(GeventWorker):  # type: ignore[misc]
    alive: bool
    wsgi: Callable[..., Iterable[bytes]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open_requests = 0
        self._stop_asked: Event | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi

        def with_connection(
            environ: WSGIEnviron, start_response: Callable[..., Any]
        ) -> Iterable[bytes]:
            environ[FORCE_CLOSE] = start_response.__self__.force_close  # type: ignore[attr-defined]
            environ[DRAINING] = self._draining
            return app(environ, start_response)

        self.wsgi = with_connection

    @property
    def _draining(self) -> bool:
        """True if the whole proxy is stopping. If only this worker is, others take new requests."""
        return not self.alive and self.app.stopping

    def run(self) -> None:
        self._stop_asked = Event()
        settings = self.app.settings
        limits = Limits(
            connections=settings.proxy_connections,
            per_address=settings.proxy_connections_per_address,
            heads_bytes=settings.proxy_heads_limit,
        )
        self._crowd = Crowd(limits)
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive and not self.app.stopping:
            self.notify()
            self._stop_asked.wait(_HEARTBEAT_S)
        # A signal that arrived before its handler was set is lost; the flag is not.
        self.alive = False
        if not self._draining:
            for server in servers:
                server.close()
        self._finish_requests()
        for server in servers:
            server.stop(timeout=0)

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        if self._stop_asked is not None:
            self._stop_asked.set()

    def handle(self, listener: Any, client: Connection, addr: Any) -> None:
        try:
            super().handle(listener, client, addr)
        finally:
            self._crowd.leave(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> None:
        self._crowd.begin(sock)
        bound_trailers(req)
        if sock.crowded:
            req.force_close()
        self._open_requests += 1
        try:
            super().handle_request(listener_name, req, sock, addr)
        except OSError as error:
            if error.errno in _CLIENT_LOST:
                raise StreamCut("client_gone") from None
            raise
        finally:
            self._open_requests -= 1
            self._crowd.rest(sock)

    def handle_error(
        self,
        req: Any,  # noqa: ARG002
        client: socket.socket,
        addr: Any,  # noqa: ARG002
        exc: BaseException,
    ) -> None:
        status, message = _fault(exc)
        if status >= 500:
            _log.error("request failed", exc_info=exc)
        else:
            _log.info("request id=- status=%d reason=protocol_error", status)
        with contextlib.suppress(OSError):
            client.sendall(_last_response(status, message))
            linger(client)

    def _serve(self, listener: socket.socket) -> StreamServer:
        listener.setblocking(True)
        bound_silence(listener, self.app.settings.proxy_client_timeout_s)
        server = _Listener(listener, self._crowd, partial(self.handle, listener))
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def _finish_requests(self) -> None:
        deadline = time.monotonic() + self.cfg.graceful_timeout - _MARGIN_S
        while self._open_requests and time.monotonic() < deadline:
            self.notify()
            gevent.sleep(0.1)


class _Listener(StreamServer):
    """Accepts connections; those for which there is no room get a 503 at once."""

    def __init__(self, listener: Any, crowd: Crowd, handle: Callable[..., object]) -> None:
        super().__init__(listener, handle=handle, spawn=Pool())
        self._crowd = crowd

    def do_read(self) -> Any:
        listener: Any = self.socket
        try:
            descriptor, address = listener._accept()  # noqa: SLF001  # as socket.accept does
        except BlockingIOError:  # another worker was faster
            return None
        return Connection(listener.family, listener.type, listener.proto, descriptor), address

    def do_handle(self, client: Any, address: Any, /) -> None:
        if self._crowd.enter(client, address):
            super().do_handle(client, address)
            return
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.recv(RECEIVE)  # closing with unread input would destroy the answer
        with contextlib.suppress(OSError):
            client.send(_last_response(503, client.crowded, "Retry-After: 2\r\n"))
        client.close()


def bound_silence(listener: socket.socket, seconds: float) -> None:
    """Set keep-alive and timeouts on the listener; every connection inherits them."""
    interval = max(1, int(seconds / 3))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _fault(exc: BaseException) -> tuple[int, str]:
    if isinstance(exc, (http.InvalidResponseHeader, http.InvalidResponseHeaderName)):
        return 502, "The model server gave no valid answer."
    for kind, status, message in _FAULTS:
        if isinstance(exc, kind):
            return status, message
    return 500, "The proxy failed. The request may be sent again."


def _last_response(status: int, message: str, more: str = "") -> bytes:
    body = error_body(status, message)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"Connection: close\r\n{more}\r\n"
    )
    return head.encode("ascii") + body
