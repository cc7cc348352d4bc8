"""Requests that are not HTTP, or are ambiguous: 4xx as JSON, and nothing passes."""

import json

import pytest

from processes import Running, until

from ..clients import connected, everything, generate, raw_request, send_raw
from ..fake_upstream import FakeUpstream

POST = "POST /inference/m HTTP/1.1"
SMUGGLED = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        (POST, "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"),
        (POST, "Host: a", "Content-Length: 5", "Content-Length: 6"),
        (POST, "Host: a", "Content-Length: 5", "Content-Length: 5"),
        (POST, "Host: a", "Content-Length: 5, 5"),
        (POST, "Host: a", "Content-Length: +5"),
        (POST, "Host: a", "Content-Length: -5"),
        (POST, "Host: a", "Content-Length: 0x5"),
        (POST, "Host: a", "Content-Length: 5 5"),
        (POST, "Host: a", "Content-Length: "),
        (POST, "Host: a", "Content-Length: \u00b2"),
        (POST, "Host: a", "Transfer-Encoding: chunked, chunked"),
        (POST, "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        (POST, "Host: a", "Transfer-Encoding: xchunked"),
        (POST, "Host: a", "Transfer-Encoding: chunked, gzip"),
        (POST, "Host: a", "Transfer-Encoding: identity"),
        (POST, "Host: a", "Transfer-Encoding: \x0bchunked"),
        (POST, "Host: a", "Transfer-Encoding : chunked"),
        (POST, "Host: a", "Transfer-Encoding: x", " chunked"),
        ("POST /inference/m HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"),
        (POST, "Host: a", "X: folded", " over lines"),
        (POST, "Host: a", " X: y"),
        (POST, "Host: a", "Authorization"),
        (POST, "Host: a", ": empty"),
        (POST, "Host: a", "Bad Name: x"),
        (POST, "Host: a", "Bad\x00Name: x"),
        (POST, "Host: a", "X: a\x00b"),
        (POST, "Host: a", "X: a\rb"),
        (POST, "Host: a\nX-Rowcast-Team: red"),
        (POST, "Host: a", "Host: b"),
        (POST, "Host: a b"),
        (POST, "Host: a/b"),
        (POST, "Host: user@a"),
        (POST,),
        ("POST /inference/m HTTP/2.0", "Host: a"),
        ("POST /inference/m HTTP/0.9", "Host: a"),
        ("POST /inference/m HTTP/1.1 x", "Host: a"),
        ("POST /inference/m", "Host: a"),
        ("POST  /inference/m HTTP/1.1", "Host: a"),
        ("POST /inference/m http/1.1", "Host: a"),
        ("POST inference/m HTTP/1.1", "Host: a"),
        ("POST * HTTP/1.1", "Host: a"),
        ("POST /inference/\xe9 HTTP/1.1", "Host: a"),
        ("POST /inference/\x7f HTTP/1.1", "Host: a"),
        ("POST /inference/m\tHTTP/1.1", "Host: a"),
        ("P@ST /inference/m HTTP/1.1", "Host: a"),
        ("p /inference/m HTTP/1.1", "Host: a"),
        ("POST http://[::1 HTTP/1.1", "Host: a"),
        ("",),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",),
        ("PRI * HTTP/2.0", "", "SM", ""),
    ],
)
def test_malformed_requests_are_the_clients_fault(
    proxy: Running, upstream: FakeUpstream, lines: tuple[str, ...]
) -> None:
    reply = send_raw(proxy.port, raw_request(*lines, body=b"hello" + SMUGGLED))
    assert reply.status == 400
    assert reply.message
    assert reply.headers["Connection"] == "close"
    assert upstream.calls.empty()
    assert generate(proxy.port).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (raw_request("POST /" + "a" * 9000 + " HTTP/1.1", "Host: a"), 414),
        (raw_request(POST, "Host: a", "X: " + "a" * 9000), 431),
        (raw_request(POST, "Host: a", *(f"X-{i}: a" for i in range(200))), 431),
        (raw_request(POST, "Host: a", "Expect: a miracle"), 417),
        (raw_request("CONNECT evil.example:443 HTTP/1.1", "Host: a"), 404),
        (raw_request("OPTIONS * HTTP/1.1", "Host: a"), 404),
        (raw_request("TRACE / HTTP/1.1", "Host: a"), 405),
    ],
)
def test_other_faults_have_their_own_status(
    proxy: Running, upstream: FakeUpstream, request_bytes: bytes, status: int
) -> None:
    reply = send_raw(proxy.port, request_bytes)
    assert reply.status == status
    assert reply.message
    assert upstream.calls.empty()


def test_nothing_is_smuggled_behind_a_refusal(proxy: Running, upstream: FakeUpstream) -> None:
    both = (POST, "Host: a", "Content-Length: 4", "Transfer-Encoding: chunked")
    with connected(proxy.port) as client:
        client.sendall(raw_request(*both, body=b"0\r\n\r\n" + SMUGGLED))
        received = everything(client)
    assert received.count(b"HTTP/1.1 ") == 1
    assert upstream.calls.empty()


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO", "CONTENT_LENGTH", "HTTP_HOST"])
def test_names_with_underscores_are_not_taken_for_others(
    proxy: Running, upstream: FakeUpstream, name: str
) -> None:
    request = raw_request("GET /health HTTP/1.1", "Host: a", f"{name}: /admin", authorized=False)
    assert send_raw(proxy.port, request).status == 200
    assert upstream.next_call().line == "GET /health HTTP/1.1"


@pytest.mark.slow
def test_half_a_request_ends_without_an_answer(
    hasty_proxy: Running, upstream: FakeUpstream
) -> None:
    with connected(hasty_proxy.port) as client:
        client.sendall(b"POST /inference/m HTTP/1.1\r\nHost: a\r\nX-Slow")
        assert everything(client) == b""
    assert upstream.calls.empty()


@pytest.mark.slow
def test_a_silent_connection_ends(hasty_proxy: Running) -> None:
    with connected(hasty_proxy.port) as client:
        assert everything(client) == b""


def test_the_log_tells_of_protocol_errors(proxy: Running) -> None:
    reply = send_raw(proxy.port, b"garbage\r\n\r\n")
    assert json.loads(reply.body)["status_code"] == 400
    until(lambda: "reason=protocol_error" in proxy.output(), "its line")
    assert "Traceback" not in proxy.output()
