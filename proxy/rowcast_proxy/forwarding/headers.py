"""Which headers pass in each direction, and which never do.

Upstream: the client's own headers, without hop-by-hop ones (RFC 9110, 7.6.1), credentials, and the
headers that only the proxy may set (the caller's identity and address). Back: the server's headers,
without hop-by-hop ones, identity, and those that gunicorn writes itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from rowcast_proxy.tokens import Caller
from rowcast_telemetry.spans import Span
from rowcast_telemetry.trace_context import HEADER as TRACEPARENT

Headers = list[tuple[str, str]]

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_UPSTREAM: Final = HOP_BY_HOP | {
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "origin",  # the proxy decides which origins may call: see `cors`
    "true-client-ip",
    "x-api-key",
    "x-client-ip",
    "x-real-ip",
    "x-request-id",
}
_NOT_UPSTREAM_PREFIXES: Final = ("x-rowcast-", "x-forwarded-")
_NOT_BACK: Final = HOP_BY_HOP | {
    "date",
    "server",
    "set-cookie",
    "set-cookie2",
    "x-request-id",
    "x-rowcast-admin",
    "x-rowcast-proxy-secret",
    "x-rowcast-scraper",
    "x-rowcast-team",
    "x-rowcast-token-id",
}


def client_headers(environ: Mapping[str, Any]) -> Headers:
    """Return the client's headers that may go upstream."""
    barred = _NOT_UPSTREAM | _named_by(environ.get("HTTP_CONNECTION", ""))
    passed = [
        (name, value)
        for name, value in _received(environ)
        if name not in barred and not name.startswith(_NOT_UPSTREAM_PREFIXES)
    ]
    if environ.get("CONTENT_TYPE"):
        passed.append(("content-type", environ["CONTENT_TYPE"]))
    return passed


def trace_headers(headers: Headers, span: Span | None) -> Headers:
    """Return the client's headers with the request's span as the caller, if it has one.

    Without one, `traceparent` and `tracestate` pass unchanged.
    """
    if span is None:
        return headers
    replaced = {TRACEPARENT} if span.parent else {TRACEPARENT, "tracestate"}
    rest = [(name, value) for name, value in headers if name not in replaced]
    return [*rest, (TRACEPARENT, span.context.header)]


def origin_headers(environ: Mapping[str, Any], request_id: str) -> Headers:
    """Return the headers that say where the request comes from."""
    return [
        ("x-request-id", request_id),
        ("x-forwarded-for", environ.get("REMOTE_ADDR", "")),
        ("x-forwarded-proto", environ.get("wsgi.url_scheme", "http")),
    ]


def caller_headers(caller: Caller | None, proxy_secret: str | None) -> Headers:
    """Return the headers that identify the proxy and, if there is a secret, the verified claims."""
    headers = [("x-rowcast-proxy", "1")]
    if caller is None or proxy_secret is None:
        return headers
    headers += [
        ("x-rowcast-proxy-secret", proxy_secret),
        ("x-rowcast-team", quote(caller.team, safe="")),
    ]
    if caller.token_id is not None:
        headers.append(("x-rowcast-token-id", quote(caller.token_id, safe="")))
    if caller.admin:
        headers.append(("x-rowcast-admin", "true"))
    if caller.scraper:
        headers.append(("x-rowcast-scraper", "true"))
    return headers


def server_headers(head: Iterable[tuple[str, str]], request_id: str) -> Headers:
    """Return the server's headers that may go back to the client."""
    received = [(name, name.lower(), value) for name, value in head]
    named = _named_by(",".join(value for _, lower, value in received if lower == "connection"))
    barred = _NOT_BACK | named
    passed = [(name, value) for name, lower, value in received if lower not in barred]
    return [*passed, ("X-Request-ID", request_id)]


def _received(environ: Mapping[str, Any]) -> Headers:
    return [
        (key[5:].replace("_", "-").lower(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]


def _named_by(connection: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in connection.split(","))
