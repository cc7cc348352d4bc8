"""The worker of a proxy process: `rowcast_http`'s, with the proxy's limits and error form.

A graceful stop finishes open streams, while new requests get a 503. Knows nothing of tokens or
routes.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from gevent import socket
from gunicorn.http import errors as http

from rowcast_http.answers import client_error, last_answer
from rowcast_http.budget import Budget
from rowcast_http.connections import Limits
from rowcast_http.listener import Listener
from rowcast_http.silence import Silence
from rowcast_http.worker import RUNNING, HttpWorker, Service
from rowcast_proxy.errors import error_body
from rowcast_proxy.forwarding.inbound import DRAINING, WSGIEnviron
from rowcast_proxy.metrics import ProxyMetrics

_LINGER_BYTES: Final = 1 << 20
_MESSAGES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (http.LimitRequestLine, "The request line is too long."),
    (http.LimitRequestHeaders, "The headers are too long, or too many."),
    (http.ExpectationFailed, "The only expectation supported is 100-continue."),
    (http.UnsupportedTransferCoding, "The only transfer coding supported is chunked."),
    (http.InvalidRequestMethod, "The method is malformed."),
    (http.InvalidHTTPVersion, "The only versions supported are HTTP/1.1 and HTTP/1.0."),
    (http.InvalidRequestLine, "The request line is malformed."),
    (http.ObsoleteFolding, "A header is folded over several lines."),
    (http.InvalidHeaderName, "The name of a header is malformed."),
    (http.InvalidHeader, "A header is malformed, repeated or contradicts another."),
    (http.ParseException, "The request is not valid HTTP."),
)

_log = logging.getLogger(__name__)


class ProxyWorker(HttpWorker):
    wsgi: Callable[..., Iterable[bytes]]

    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.app.wsgi()
        self.metrics: ProxyMetrics = app.metrics
        self._close_app: Callable[[], None] = app.close

        def with_state(environ: WSGIEnviron, start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ[DRAINING] = self._draining
            answer: Iterable[bytes] = app(environ, start_response)
            return answer

        self.wsgi = with_state

    def close(self) -> None:
        self._close_app()

    def notify(self) -> None:
        """Send the heartbeat to gunicorn's master, once a second."""
        super().notify()
        if self.booted:
            self.metrics.connections.set(len(self.crowd))

    def open(self) -> Service:
        settings = self.app.settings
        limits = Limits(
            connections=settings.proxy_connections,
            per_address=settings.proxy_connections_per_address,
            heads_bytes=settings.proxy_heads_limit,
        )
        return Service(
            limits=limits,
            bodies=Budget(settings.proxy_bodies_limit),
            no_room=lambda reason: _last_answer(503, reason, ("Retry-After", "2")),
            linger_bytes=_LINGER_BYTES,
        )

    def listen(self, listener: Any) -> Listener:
        bound_silence(listener, self.app.settings.proxy_client_timeout_s)
        return super().listen(listener)

    def handle_error(
        self,
        req: Any,  # noqa: ARG002
        client: Any,
        addr: Any,  # noqa: ARG002
        exc: BaseException,
    ) -> None:
        status, message = _fault(exc)
        if status >= 500:
            _log.error("request failed", exc_info=exc)
        else:
            self.metrics.refused_unread()
            _log.info("request id=- status=%d reason=protocol_error", status)
        self.answer_last(client, _last_answer(status, message))

    @property
    def _draining(self) -> bool:
        """True if the whole proxy is stopping. If only this worker is, others take new requests."""
        return not self.alive and self.stopping != RUNNING


def bound_silence(listener: socket.socket, seconds: float) -> None:
    """Limit how long clients may be silent; every connection inherits it from the listener."""
    probe_seconds = max(1, int(seconds / 3))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Silence(
        milliseconds=int(seconds * 1000),
        idle_seconds=probe_seconds,
        probe_seconds=probe_seconds,
        probes=2,
    ).limit(listener)


def _fault(error: BaseException) -> tuple[int, str]:
    if isinstance(error, (http.InvalidResponseHeader, http.InvalidResponseHeaderName)):
        return 502, "The model server did not send a valid response."
    status = client_error(error)
    if not status:
        return 500, "The proxy failed; send the request again."
    return status, next(message for kind, message in _MESSAGES if isinstance(error, kind))


def _last_answer(status: int, message: str, *headers: tuple[str, str]) -> bytes:
    return last_answer(status, error_body(status, message), ("Cache-Control", "no-store"), *headers)
