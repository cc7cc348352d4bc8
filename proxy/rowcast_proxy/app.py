"""The WSGI application: the steps of one request, in order.

In: a WSGI environ from `worker`. Out: a `Relay` of the server's response, or a refusal as JSON. A
response sent before the request's body was read closes the connection, because the start of the
next request is then unknown. A body is read only after its token is verified; a request that needs
no token is answered as if it had no body.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from rowcast_http.alarms import Alarms
from rowcast_http.body import BodyReader
from rowcast_http.client_watch import ClientWatch
from rowcast_metrics.memory import Memory
from rowcast_proxy.cors import Cors
from rowcast_proxy.errors import (
    Refusal,
    StreamCut,
    Unavailable,
    anthropic_body,
    error_body,
    is_of_anthropic,
    outcome_of,
)
from rowcast_proxy.forwarding.bodies import BodyErrors, read_body
from rowcast_proxy.forwarding.headers import (
    Headers,
    caller_headers,
    client_headers,
    origin_headers,
    server_headers,
    trace_headers,
)
from rowcast_proxy.forwarding.inbound import InboundRequest, WSGIEnviron
from rowcast_proxy.forwarding.relay import Idleness, Link, Relay
from rowcast_proxy.forwarding.upstream import Upstream
from rowcast_proxy.metrics import ProxyMetrics
from rowcast_proxy.routes import Access, Route, match, methods_at, path_of
from rowcast_proxy.settings import ProxySettings
from rowcast_proxy.tokens import Caller, TokenVerifier
from rowcast_telemetry.tracing import tracer_of

_FOR_SCRAPERS = {Access.SCRAPER, Access.OWN_METRICS}

StartResponse = Callable[[str, Headers], Any]


class ProxyApp:
    def __init__(self, settings: ProxySettings, metrics: ProxyMetrics | None = None) -> None:
        """`metrics`: those of this process; None: ones that no other process sees."""
        self.metrics = metrics or ProxyMetrics(Memory.create(1), 0)
        secret = settings.proxy_secret
        self._proxy_secret = secret.get_secret_value() if secret else None
        self._cors = Cors(settings.cors_origins)
        self._bodies = BodyReader(
            settings.proxy_body_limit, settings.proxy_body_timeout_s, BodyErrors()
        )
        self._tokens = TokenVerifier(
            settings.jwt_secret.get_secret_value(),
            leeway_seconds=settings.jwt_leeway_s,
            require_exp=settings.jwt_require_exp,
        )
        self._upstream = Upstream(
            settings.upstream_address,
            connect_seconds=settings.upstream_connect_timeout_s,
            first_byte_seconds=settings.upstream_first_byte_timeout_s,
        )
        self._idle_seconds = settings.upstream_idle_timeout_s
        self._alarms = Alarms()
        self._watch = ClientWatch()
        self._watch.start()
        self._tracer = tracer_of(
            settings.traces,
            settings.otel_exporter_otlp_endpoint,
            settings.otel_exporter_otlp_headers,
            settings.otel_service_name,
            settings.otel_traces_sampler_arg,
        )
        if self._tracer is not None:
            self._tracer.start()

    def close(self) -> None:
        """End the waits for the server, and send the spans that are left."""
        self._alarms.close()
        if self._tracer is not None:
            self._tracer.close()

    def __call__(self, environ: WSGIEnviron, start_response: StartResponse) -> Iterable[bytes]:
        request = InboundRequest(environ)
        request.on_end = self.metrics.ended
        self.metrics.began()
        request.cors = self._cors.headers(environ)
        try:
            return self._respond(request, start_response)
        except BaseException as error:  # whatever it is, no response will end the request
            request.status, request.reason = outcome_of(error)
            request.end()
            raise

    def _respond(self, request: InboundRequest, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self._answer(request, start_response)
        except Refusal as refusal:
            self.metrics.refused(refusal)
            return _refuse(request, refusal, start_response)

    def _answer(self, request: InboundRequest, start_response: StartResponse) -> Iterable[bytes]:
        request.check()
        if request.method == "OPTIONS":
            return self._preflight(request, start_response)
        route = request.find_route()
        if route.access is not Access.TOKEN and request.body_pending:
            request.end_connection()
        if route.access is Access.LOCAL:
            return _Answer(request, start_response, 200, b'{"status": "alive"}', ())
        if self._tracer is not None and route.access is Access.TOKEN:
            request.trace(self._tracer)
        if request.draining:
            raise Unavailable("The proxy is stopping.")
        if route.access is Access.OPEN:
            return self._forward(request, None, start_response)
        return self._answer_caller(request, route, start_response)

    def _answer_caller(
        self, request: InboundRequest, route: Route, start_response: StartResponse
    ) -> Iterable[bytes]:
        if request.crowded:
            raise Unavailable(request.crowded)
        headers = request.environ
        caller = self._tokens.verify(
            headers.get("HTTP_AUTHORIZATION"), headers.get("HTTP_X_API_KEY")
        )
        if route.access in _FOR_SCRAPERS:
            return self._answer_scraper(request, route, caller, start_response)
        request.set_team(caller.team)
        try:
            read_body(request, self._bodies)
            return self._forward(request, caller, start_response)
        finally:
            request.release_body()

    def _answer_scraper(
        self,
        request: InboundRequest,
        route: Route,
        caller: Caller,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Answer with the proxy's own metrics, or with the server's."""
        caller.check_scraper()
        if route.access is not Access.OWN_METRICS:
            return self._forward(request, caller, start_response)
        kind, text = self.metrics.text(request.environ.get("HTTP_ACCEPT", ""))
        return _Answer(request, start_response, 200, text, content_type=kind)

    def _preflight(self, request: InboundRequest, start_response: StartResponse) -> Iterable[bytes]:
        methods = methods_at(path_of(request.environ["RAW_URI"]))
        if not methods:
            match(request.method, request.environ["RAW_URI"])  # raises NotFound
        headers = self._cors.preflight(request.environ, [*methods, "OPTIONS"])
        if request.body_pending:
            request.end_connection()
        return _Answer(request, start_response, 204, b"", headers)

    def _forward(
        self, request: InboundRequest, caller: Caller | None, start_response: StartResponse
    ) -> Relay:
        headers = [
            *trace_headers(client_headers(request.environ), request.span),
            *origin_headers(request.environ, request.id),
            *caller_headers(caller, self._proxy_secret),
        ]
        link = Link(request.client, self._upstream.connect(), self._watch)
        try:
            self._upstream.send(
                link.upstream, request.method, request.target, headers, request.body
            )
            request.release_body()
            sent = time.monotonic()
            head, first = self._upstream.answer(link.upstream, request.method)
            self.metrics.answered(time.monotonic() - sent)
            passed = server_headers(head.headers, request.id)
            start_response(f"{head.status} {head.phrase}", [*passed, *request.cors])
        except BaseException as error:  # whatever it is, the link must not stay open
            link.close()
            if link.client_gone:
                raise StreamCut("client_gone") from error
            raise
        request.status = head.status
        idleness = Idleness(self._alarms, self._idle_seconds, link.upstream)
        return Relay(request, link, idleness, head, first)


def _refuse(
    request: InboundRequest, refusal: Refusal, start_response: StartResponse
) -> Iterable[bytes]:
    request.reason = refusal.reason
    if request.body_pending or refusal.ends_connection:
        request.end_connection()
    path, headers = path_of(request.environ["RAW_URI"]), refusal.headers
    if is_of_anthropic(path, versioned="HTTP_ANTHROPIC_VERSION" in request.environ):
        body = anthropic_body(refusal.status, refusal.message, request.id)
        headers = (*headers, ("request-id", request.id))
    else:
        body = error_body(refusal.status, refusal.message, path)
    return _Answer(request, start_response, refusal.status, body, headers)


class _Answer:
    """A short response that the proxy generates itself."""

    def __init__(
        self,
        request: InboundRequest,
        start_response: StartResponse,
        status: int,
        body: bytes,
        headers: Iterable[tuple[str, str]] = (),
        *,
        content_type: str = "application/json",
    ) -> None:
        self._request = request
        self._body = body
        request.status = status
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", content_type),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Request-ID", request.id),
                *request.cors,
                *headers,
            ],
        )

    def __iter__(self) -> Iterator[bytes]:
        if self._request.method != "HEAD":
            self._request.bytes_sent = len(self._body)
            yield self._body

    def close(self) -> None:
        self._request.end()
