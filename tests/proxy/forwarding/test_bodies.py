"""Bodies that are too long, too slow or incomplete."""

import pytest

from processes import Running

from ..clients import ask, bearer, connected, raw_request, read_reply, send_raw
from ..fake_upstream import FakeUpstream, chunk

POST = "POST /inference/m HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.slow
def test_a_body_as_long_as_the_limit_passes(hasty_proxy: Running, upstream: FakeUpstream) -> None:
    body = b"x" * 1000
    assert ask(hasty_proxy.port, "POST", "/", body, bearer()).body == body
    chunked = raw_request(POST, "Host: a", CHUNKED, body=chunk(body) + b"0\r\n\r\n")
    assert send_raw(hasty_proxy.port, chunked).body == body


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw_request(POST, "Host: a", "Content-Length: 1001", body=b"x" * 1001),
        raw_request(POST, "Host: a", "Content-Length: 1001"),
        raw_request(POST, "Host: a", "Content-Length: 99999999999999999999"),
        raw_request(POST, "Host: a", CHUNKED, body=chunk(b"x" * 1001) + b"0\r\n\r\n"),
        raw_request(POST, "Host: a", CHUNKED, body=b"fffffffffff\r\n" + b"x" * 5000),
        raw_request(POST, "Host: a", "Content-Length: 500000", body=b"x" * 500_000),
    ],
)
def test_a_longer_body_is_refused(
    hasty_proxy: Running, upstream: FakeUpstream, request_bytes: bytes
) -> None:
    reply = send_raw(hasty_proxy.port, request_bytes)
    assert reply.status == 413
    assert reply.headers["Connection"] == "close"
    assert "1000 bytes" in reply.message
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw_request(POST, "Host: a", "Content-Length: 10", body=b"abc"),
        raw_request(POST, "Host: a", CHUNKED, body=b"a\r\nabc"),
        raw_request(POST, "Host: a", CHUNKED),
    ],
)
def test_a_slow_body_is_refused(
    hasty_proxy: Running, upstream: FakeUpstream, request_bytes: bytes
) -> None:
    reply = send_raw(hasty_proxy.port, request_bytes)
    assert reply.status == 408
    assert "in time" in reply.message
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw_request(POST, "Host: a", "Content-Length: 10", body=b"abc"),
        raw_request(POST, "Host: a", CHUNKED, body=b"a\r\nabc"),
        raw_request(POST, "Host: a", CHUNKED, body=b"3\r\nabc\r\n"),
        raw_request(POST, "Host: a", CHUNKED, body=b"3\r\nabc\r\n0\r\n"),
        raw_request(POST, "Host: a", CHUNKED, body=b"3\r\n"),
    ],
)
def test_a_body_cut_short_is_refused(
    proxy: Running, upstream: FakeUpstream, request_bytes: bytes
) -> None:
    with connected(proxy.port) as client:
        client.sendall(request_bytes)
        client.shutdown(1)
        reply = read_reply(client)
    assert reply.status == 400
    assert "body" in reply.message
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n" + b"x" * 9000,
        b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"3\r\nabc\r\n0\r\nno colon\r\n\r\n",
        b"3;\x00=1\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_bad_chunks_are_refused(proxy: Running, upstream: FakeUpstream, body: bytes) -> None:
    reply = send_raw(proxy.port, raw_request(POST, "Host: a", CHUNKED, body=body))
    assert reply.status == 400
    assert reply.message
    assert upstream.calls.empty()


def test_a_stranger_cannot_make_the_proxy_read_a_body(
    proxy: Running, upstream: FakeUpstream
) -> None:
    """The refusal is sent at once, and the connection ends, whatever length was announced."""
    request = raw_request(POST, "Host: a", "Content-Length: 4000000", authorized=False)
    reply = send_raw(proxy.port, request)
    assert reply.status == 401
    assert reply.headers["Connection"] == "close"
    assert upstream.calls.empty()
