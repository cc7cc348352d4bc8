"""The WSGI application: the steps of one request, in order.

In: a WSGI environ from `worker`. Out: a `Relay` of the server's response, or a refusal as JSON.
Whatever is refused before its body was read ends its connection, because where the next request
would begin is then unknown.
"""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from rowcast_proxy.bodies import read_body
from rowcast_proxy.errors import Refusal, StreamCut, Unavailable, error_body
from rowcast_proxy.hangups import HangupWatch
from rowcast_proxy.headers import (
    Headers,
    client_headers,
    identity_headers,
    origin_headers,
    server_headers,
)
from rowcast_proxy.inbound import InboundRequest, WSGIEnviron
from rowcast_proxy.lingering import linger
from rowcast_proxy.relay import Link, Relay
from rowcast_proxy.routes import Access, path_of
from rowcast_proxy.settings import ProxySettings
from rowcast_proxy.tokens import Identity, TokenVerifier
from rowcast_proxy.upstream import Upstream

StartResponse = Callable[[str, Headers], Any]


class ProxyApp:
    def __init__(self, settings: ProxySettings) -> None:
        secret = settings.proxy_secret
        self._proxy_secret = secret.get_secret_value() if secret else None
        self._body_limit = settings.proxy_body_limit
        self._body_timeout_s = settings.proxy_body_timeout_s
        self._tokens = TokenVerifier(
            settings.jwt_secret.get_secret_value(),
            leeway_s=settings.jwt_leeway_s,
            require_exp=settings.jwt_require_exp,
        )
        self._upstream = Upstream(
            settings.upstream_address,
            connect_timeout_s=settings.upstream_connect_timeout_s,
            first_byte_timeout_s=settings.upstream_first_byte_timeout_s,
            idle_timeout_s=settings.upstream_idle_timeout_s,
        )
        self._watch = HangupWatch()

    def __call__(self, environ: WSGIEnviron, start_response: StartResponse) -> Iterable[bytes]:
        request = InboundRequest(environ)
        try:
            return self._answer(request, start_response)
        except Refusal as refusal:
            return _refuse(request, refusal, start_response)

    def _answer(self, request: InboundRequest, start_response: StartResponse) -> Iterable[bytes]:
        route = request.find_route()
        if route.access is Access.LOCAL:
            return _alive(request, start_response)
        if request.draining:
            raise Unavailable("The proxy is stopping.")
        identity = self._identify(request)
        body = read_body(request, limit=self._body_limit, timeout_s=self._body_timeout_s)
        return self._forward(request, identity, body, start_response)

    def _identify(self, request: InboundRequest) -> Identity | None:
        if not request.wants_token:
            return None
        identity = self._tokens.identify(request.environ.get("HTTP_AUTHORIZATION"))
        request.team = identity.team
        return identity

    def _forward(
        self,
        request: InboundRequest,
        identity: Identity | None,
        body: bytes,
        start_response: StartResponse,
    ) -> Relay:
        headers = [
            *client_headers(request.environ),
            *origin_headers(request.environ, request.id),
            *identity_headers(identity, self._proxy_secret),
        ]
        link = Link(request.client, self._upstream.connect(), self._watch)
        try:
            head, first = self._upstream.ask(
                link.upstream, request.method, request.target, headers, body
            )
            start_response(f"{head.status} {head.phrase}", server_headers(head.headers, request.id))
        except BaseException as error:
            link.close()
            if link.client_gone:
                raise _gone(request) from error
            raise
        request.status = head.status
        return Relay(request, link, head, first)


def _gone(request: InboundRequest) -> StreamCut:
    """Nobody is left to answer; the status is for the log only."""
    request.status, request.reason = 499, "client_gone"
    request.log_end()
    return StreamCut("client_gone")


def _alive(request: InboundRequest, start_response: StartResponse) -> Iterable[bytes]:
    if request.body_pending:
        request.force_close()
    return _Answer(request, start_response, 200, b'{"status": "alive"}', ())


def _refuse(
    request: InboundRequest, refusal: Refusal, start_response: StartResponse
) -> Iterable[bytes]:
    request.reason = refusal.reason
    if request.body_pending or refusal.ends_connection:
        request.force_close()
    path = path_of(request.environ["RAW_URI"])
    body = error_body(refusal.status, refusal.message, path)
    return _Answer(request, start_response, refusal.status, body, refusal.headers)


class _Answer:
    """A short response of the proxy's own."""

    def __init__(
        self,
        request: InboundRequest,
        start_response: StartResponse,
        status: int,
        body: bytes,
        headers: Iterable[tuple[str, str]],
    ) -> None:
        self._request = request
        self._body = body
        request.status = status
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Request-ID", request.id),
                *headers,
            ],
        )

    def __iter__(self) -> Iterator[bytes]:
        self._request.bytes_sent = len(self._body)
        yield self._body

    def close(self) -> None:
        if self._request.ends_connection:
            linger(self._request.client)
        self._request.log_end()
