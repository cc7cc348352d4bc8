"""Which headers pass in each direction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowcast_proxy.forwarding.headers import (
    caller_headers,
    client_headers,
    origin_headers,
    server_headers,
    trace_headers,
)
from rowcast_proxy.tokens import Caller
from rowcast_telemetry.spans import Span, Tracer


def test_ordinary_headers_pass() -> None:
    environ = {
        "HTTP_ACCEPT": "text/event-stream",
        "HTTP_LAST_EVENT_ID": "12",
        "HTTP_TRACEPARENT": "00-a-b-01",
        "CONTENT_TYPE": "application/json",
    }
    assert dict(client_headers(environ)) == {
        "accept": "text/event-stream",
        "last-event-id": "12",
        "traceparent": "00-a-b-01",
        "content-type": "application/json",
    }


@pytest.mark.parametrize(
    "name",
    [
        "AUTHORIZATION",
        "COOKIE",
        "CONNECTION",
        "KEEP_ALIVE",
        "TE",
        "TRAILER",
        "TRANSFER_ENCODING",
        "UPGRADE",
        "PROXY_AUTHORIZATION",
        "PROXY_CONNECTION",
        "HTTP2_SETTINGS",
        "EXPECT",
        "HOST",
        "ORIGIN",
        "ACCESS_CONTROL_REQUEST_METHOD",
        "ACCESS_CONTROL_REQUEST_HEADERS",
        "FORWARDED",
        "X_FORWARDED_FOR",
        "X_FORWARDED_HOST",
        "X_FORWARDED_ANYTHING",
        "X_REAL_IP",
        "X_ROWCAST_PROXY",
        "X_ROWCAST_TEAM",
        "X_ROWCAST_TOKEN_ID",
        "X_ROWCAST_PROXY_SECRET",
        "X_ROWCAST_ADMIN",
        "X_ROWCAST_ANYTHING",
        "X_REQUEST_ID",
    ],
)
def test_what_only_the_proxy_may_say_never_passes(name: str) -> None:
    assert client_headers({f"HTTP_{name}": "x"}) == []


def test_headers_named_by_connection_do_not_pass() -> None:
    environ = {
        "HTTP_CONNECTION": "close, X-Private ,accept",
        "HTTP_X_PRIVATE": "1",
        "HTTP_ACCEPT": "*/*",
        "HTTP_X_PUBLIC": "2",
    }
    assert client_headers(environ) == [("x-public", "2")]


def test_the_origin_is_said_by_the_proxy() -> None:
    environ = {"REMOTE_ADDR": "192.0.2.7", "wsgi.url_scheme": "http"}
    assert dict(origin_headers(environ, "abc")) == {
        "x-request-id": "abc",
        "x-forwarded-for": "192.0.2.7",
        "x-forwarded-proto": "http",
    }


def test_claims_pass_with_the_shared_secret() -> None:
    assert dict(caller_headers(Caller("a/b é", "t 1"), "shared")) == {
        "x-rowcast-proxy": "1",
        "x-rowcast-proxy-secret": "shared",
        "x-rowcast-team": "a%2Fb%20%C3%A9",
        "x-rowcast-token-id": "t%201",
    }


def test_claims_do_not_pass_without_secret_or_identity() -> None:
    mark = [("x-rowcast-proxy", "1")]
    assert caller_headers(Caller("blue", None), None) == mark
    assert caller_headers(None, "shared") == mark


def test_an_administrator_is_named_with_the_shared_secret_alone() -> None:
    admin = Caller("blue", None, admin=True)
    assert dict(caller_headers(admin, "shared"))["x-rowcast-admin"] == "true"
    assert "x-rowcast-admin" not in dict(caller_headers(Caller("blue", None), "shared"))
    assert caller_headers(admin, None) == [("x-rowcast-proxy", "1")]


def test_no_token_id_is_not_an_empty_one() -> None:
    assert "x-rowcast-token-id" not in dict(caller_headers(Caller("blue", None), "shared"))


@given(st.text(min_size=1, max_size=256).filter(lambda t: t.isprintable() or "\n" in t))
def test_any_team_is_plain_ascii_on_the_wire(team: str) -> None:
    value = dict(caller_headers(Caller(team, None), "shared"))["x-rowcast-team"]
    assert value.isascii()
    assert value.isprintable()
    assert " " not in value


def test_the_servers_headers_pass_as_they_were_written() -> None:
    sent = (
        ("Content-Type", "text/event-stream"),
        ("X-Accel-Buffering", "no"),
        ("X-Rowcast-Seed", "7"),
        ("Retry-After", "3"),
        ("Vary", "a"),
        ("Vary", "b"),
    )
    assert server_headers(sent, "abc") == [*sent, ("X-Request-ID", "abc")]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "Upgrade",
        "Server",
        "Date",
        "Set-Cookie",
        "X-Rowcast-Proxy-Secret",
        "X-ROWCAST-TEAM",
        "x-rowcast-token-id",
        "X-Rowcast-Admin",
        "X-Rowcast-Scraper",
        "X-Request-Id",
    ],
)
def test_what_the_server_must_not_say_does_not_pass(name: str) -> None:
    assert server_headers([(name, "x")], "abc") == [("X-Request-ID", "abc")]


def test_headers_named_by_the_servers_connection_do_not_pass() -> None:
    sent = [("Connection", "close"), ("connection", "X-Inner"), ("X-Inner", "1")]
    assert server_headers(sent, "abc") == [("X-Request-ID", "abc")]


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = [("accept", "*/*"), ("traceparent", TRACEPARENT), ("tracestate", "a=1")]


def test_without_a_span_a_trace_passes_unchanged() -> None:
    environ = {"HTTP_TRACEPARENT": TRACEPARENT, "HTTP_TRACESTATE": "a=1", "HTTP_BAGGAGE": "b=2"}
    passed = dict(trace_headers(client_headers(environ), None))
    assert passed == {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2"}


def test_with_a_span_it_is_the_servers_caller() -> None:
    span = Tracer(Nowhere()).begin("a", TRACEPARENT)
    passed = dict(trace_headers(TRACED, span))
    assert passed == {
        "accept": "*/*",
        "tracestate": "a=1",
        "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{span.context.span}-01",
    }


def test_the_state_of_a_malformed_trace_does_not_pass() -> None:
    span = Tracer(Nowhere()).begin("a", "malformed")
    passed = trace_headers([("traceparent", "malformed"), ("tracestate", "a=1")], span)
    assert passed == [("traceparent", span.context.header)]


class Nowhere:
    """An exporter that drops everything."""

    def start(self) -> None:
        """Do nothing."""

    def put(self, _span: Span, /) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
