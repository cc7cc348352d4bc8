"""What passes through the proxy, and what does not.

Covers `relay`, `upstream`, `rowcast_proxy/app`.
"""

import json
import re
import threading

import pytest

from processes import Running

from ..clients import (
    PATIENCE,
    PROXY_SECRET,
    ask,
    bearer,
    connected,
    everything,
    generate,
    raw_request,
    read_reply,
    read_until,
    send_raw,
    token,
)
from ..fake_upstream import LAST_CHUNK, STREAM_HEAD, Call, FakeUpstream, chunk


def stream(*pieces: bytes, head: bytes = STREAM_HEAD) -> bytes:
    return head + b"".join(map(chunk, pieces)) + LAST_CHUNK


def test_a_request_and_its_answer_pass(proxy: Running, upstream: FakeUpstream) -> None:
    reply = generate(proxy.port, json.dumps({"text": "hi"}).encode())
    assert reply.status == 200
    assert json.loads(reply.body) == {"text": "hi"}
    assert upstream.next_call().line == "POST /inference/scripted HTTP/1.1"


def test_every_chunk_leaves_at_once(proxy: Running, upstream: FakeUpstream) -> None:
    """Each chunk is sent only after the client has received the one before."""
    received = threading.Semaphore(0)

    def one_by_one(call: Call) -> None:
        call.send(STREAM_HEAD)
        for piece in (b"one", b"two", b"three"):
            call.send(chunk(piece))
            assert received.acquire(timeout=PATIENCE)
        call.send(LAST_CHUNK)

    upstream.answer = one_by_one
    with connected(proxy.port) as client:
        client.sendall(raw_request("POST /inference/m HTTP/1.1", "Host: a", "Connection: close"))
        for piece in (b"one", b"two", b"three"):
            assert read_until(client, chunk(piece))
            received.release()
        assert everything(client) == LAST_CHUNK


def test_the_head_leaves_before_the_body_begins(proxy: Running, upstream: FakeUpstream) -> None:
    def head_then_wait(call: Call) -> None:
        call.send(STREAM_HEAD)
        call.await_hangup()

    upstream.answer = head_then_wait
    with connected(proxy.port) as client:
        client.sendall(raw_request("POST /inference/scripted HTTP/1.1", "Host: a"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_headers_against_buffering_pass(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = lambda call: call.send(stream(b"hi"))
    reply = generate(proxy.port)
    assert reply.body == b"hi"
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert reply.headers["Cache-Control"] == "no-cache, no-transform"
    assert reply.headers["X-Rowcast-Seed"] == "7"


def test_an_error_of_the_server_passes_as_it_is(proxy: Running, upstream: FakeUpstream) -> None:
    body = b'{"status_code": 503, "message": "All rows are taken."}'
    upstream.answer = lambda call: call.answer("503 Service Unavailable", body, "Retry-After: 9")
    reply = generate(proxy.port)
    assert (reply.status, reply.body) == (503, body)
    assert reply.headers["Retry-After"] == "9"


def test_interim_answers_are_passed_over(proxy: Running, upstream: FakeUpstream) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    upstream.answer = lambda call: call.send(early + early + stream(b"hi"))
    assert generate(proxy.port).body == b"hi"


def test_an_answer_before_the_body_was_read_passes(proxy: Running, upstream: FakeUpstream) -> None:
    """The server refuses and closes while the proxy is still sending."""
    upstream.reads_bodies = False
    upstream.answer = lambda call: call.answer("413 Content Too Large", b"no")
    assert generate(proxy.port, b"x" * 3_000_000).status == 413


def test_answers_without_a_body_pass(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = lambda call: call.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    reply = generate(proxy.port)
    assert (reply.status, reply.body) == (204, b"")


def test_a_large_answer_passes_whole(proxy: Running, upstream: FakeUpstream) -> None:
    pieces = [bytes([65 + i % 26]) * (1 + i * 37 % 20_000) for i in range(300)]
    upstream.answer = lambda call: call.send(stream(*pieces))
    assert generate(proxy.port).body == b"".join(pieces)


def test_verified_claims_pass_with_the_shared_secret(
    proxy: Running, upstream: FakeUpstream
) -> None:
    ask(proxy.port, "POST", "/chat/scripted", b"{}", bearer(team_id="équipe/1", token_id="t 1"))
    call = upstream.next_call()
    assert call.header("X-Rowcast-Team") == "%C3%A9quipe%2F1"
    assert call.header("X-Rowcast-Token-Id") == "t%201"
    assert call.header("X-Rowcast-Proxy-Secret") == PROXY_SECRET
    assert call.header("Authorization") is None


def test_an_admin_claim_passes_with_the_shared_secret(
    proxy: Running, upstream: FakeUpstream
) -> None:
    ask(proxy.port, "POST", "/inference/scripted", b"{}", bearer(admin=True))
    ask(proxy.port, "POST", "/inference/scripted", b"{}", bearer(admin="true"))
    ask(proxy.port, "GET", "/health", headers=bearer(admin=True))
    calls = [upstream.next_call() for _ in range(3)]
    assert [call.header("X-Rowcast-Admin") for call in calls] == ["true", None, None]


def test_the_token_itself_goes_nowhere(proxy: Running, upstream: FakeUpstream) -> None:
    generate(proxy.port)
    assert token() not in str(upstream.next_call())
    assert token() not in proxy.output()


@pytest.mark.parametrize(
    "name",
    [
        "X-Rowcast-Team",
        "x-rowcast-team",
        "X-ROWCAST-TEAM",
        "X_Rowcast_Team",
        "X-Rowcast_Team",
        "X-Rowcast-Proxy-Secret",
        "X-Rowcast-Token-Id",
        "X-Rowcast-Admin",
    ],
)
def test_nobody_speaks_for_another_team(proxy: Running, upstream: FakeUpstream, name: str) -> None:
    ask(proxy.port, "POST", "/inference/scripted", b"{}", {**bearer(), name: "red"})
    call = upstream.next_call()
    assert call.header("X-Rowcast-Team") == "blue"
    assert "red" not in [value for _, value in call.headers]


@pytest.mark.parametrize(
    "name", ["X-Rowcast-Admin", "x-rowcast-admin", "X_Rowcast_Admin", "X-Rowcast_Admin"]
)
@pytest.mark.parametrize("admin", [True, False])
def test_no_client_makes_itself_an_administrator(
    proxy: Running, upstream: FakeUpstream, name: str, admin: bool
) -> None:
    sent = {**bearer(admin=admin), name: "true"}
    ask(proxy.port, "POST", "/inference/scripted", b"{}", sent)
    lines = [f"{name}: true", "Host: a", "Content-Length: 0", f"{name}: true"]
    send_raw(proxy.port, raw_request("POST /inference/scripted HTTP/1.1", *lines))
    assert upstream.next_call().header("X-Rowcast-Admin") == ("true" if admin else None)
    assert upstream.next_call().header("X-Rowcast-Admin") is None


def test_connection_cannot_strip_the_claims(proxy: Running, upstream: FakeUpstream) -> None:
    """A client that lists our headers as hop-by-hop must not remove its identity."""
    named = "close, X-Rowcast-Team, X-Rowcast-Proxy-Secret, X-Request-ID, Content-Length"
    generate_with = {**bearer(), "Connection": named}
    ask(proxy.port, "POST", "/inference/scripted", b"{}", generate_with)
    call = upstream.next_call()
    assert call.header("X-Rowcast-Team") == "blue"
    assert call.header("X-Rowcast-Proxy-Secret") == PROXY_SECRET
    assert call.header("Content-Length") == "2"
    assert call.body == b"{}"


def test_hop_by_hop_headers_stop_here(proxy: Running, upstream: FakeUpstream) -> None:
    sent = {
        "Connection": "X-Private",
        "X-Private": "1",
        "TE": "trailers",
        "Upgrade": "websocket",
        "Keep-Alive": "timeout=5",
        "Proxy-Authorization": "Basic x",
        "X-Public": "2",
    }
    ask(proxy.port, "POST", "/inference/scripted", b"{}", {**bearer(), **sent})
    call = upstream.next_call()
    assert call.header("X-Public") == "2"
    assert call.header("Connection") == "close"
    stopped = sent.keys() - {"Connection", "X-Public"}
    assert {name for name in stopped if call.header(name) is not None} == set()


def test_where_a_request_came_from_is_said_by_the_proxy(
    proxy: Running, upstream: FakeUpstream
) -> None:
    claimed = {
        "X-Forwarded-For": "203.0.113.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=203.0.113.1",
        "X-Real-IP": "203.0.113.1",
        "Host": "evil.example",
    }
    ask(proxy.port, "POST", "/inference/scripted", b"{}", {**bearer(), **claimed})
    call = upstream.next_call()
    assert call.header("X-Forwarded-For") == "127.0.0.1"
    assert call.header("X-Forwarded-Proto") == "http"
    assert call.header("Host") == f"127.0.0.1:{upstream.port}"
    assert "203.0.113.1" not in str(call.headers)
    assert "evil" not in str(call.headers)


def test_no_cookie_is_kept_or_shared(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = lambda call: call.answer("200 OK", b"", "Set-Cookie: who=blue")
    first = ask(proxy.port, "POST", "/inference/x", b"{}", {**bearer(), "Cookie": "who=red"})
    second = ask(proxy.port, "POST", "/inference/x", b"{}", bearer(team_id="red"))
    calls = [upstream.next_call(), upstream.next_call()]
    assert [call.header("Cookie") for call in calls] == [None, None]
    assert first.headers["Set-Cookie"] is None
    assert second.headers["Set-Cookie"] is None


def test_the_server_cannot_leak_the_secret_or_an_identity(
    proxy: Running, upstream: FakeUpstream
) -> None:
    said = (
        f"X-Rowcast-Proxy-Secret: {PROXY_SECRET}",
        "X-Rowcast-Team: blue",
        "X-Rowcast-Token-Id: t-1",
        "X-Rowcast-Admin: true",
        "Server: inner/1.0",
        "Connection: X-Inner",
        "X-Inner: 1",
    )
    upstream.answer = lambda call: call.answer("200 OK", b"", *said)
    headers = str(generate(proxy.port).headers)
    assert PROXY_SECRET not in headers
    assert "X-Rowcast" not in headers
    assert "nner" not in headers


def test_a_good_request_id_is_kept(proxy: Running, upstream: FakeUpstream) -> None:
    sent = {**bearer(), "X-Request-ID": "my.id-1_2"}
    reply = ask(proxy.port, "POST", "/inference/scripted", b"{}", sent)
    assert reply.headers["X-Request-ID"] == "my.id-1_2"
    assert upstream.next_call().header("X-Request-ID") == "my.id-1_2"


@pytest.mark.parametrize("sent", ["", "a b", "é", "a,b", "x" * 129, "<script>"])
def test_any_other_request_id_is_replaced(
    proxy: Running, upstream: FakeUpstream, sent: str
) -> None:
    upstream.answer = lambda call: call.answer("200 OK", b"", "X-Request-ID: inner")
    headers = {**bearer(), "X-Request-ID": sent.encode().decode("latin-1")}
    reply = ask(proxy.port, "POST", "/inference/scripted", b"{}", headers)
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-ID"])
    assert upstream.next_call().header("X-Request-ID") == reply.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/health", "/health_check", "/readiness"])
def test_health_passes_without_a_token_and_without_an_identity(
    proxy: Running, upstream: FakeUpstream, path: str
) -> None:
    assert ask(proxy.port, "GET", path, headers=bearer()).status == 200
    assert ask(proxy.port, "GET", path).status == 200
    for call in (upstream.next_call(), upstream.next_call()):
        assert call.line == f"GET {path} HTTP/1.1"
        assert call.header("X-Rowcast-Team") is None
        assert call.header("X-Rowcast-Proxy-Secret") is None


def test_liveness_is_the_proxys_own(proxy: Running, upstream: FakeUpstream) -> None:
    assert ask(proxy.port, "GET", "/liveness").status == 200
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("POST /inference/scripted?a=1&b=%2F HTTP/1.1", "/inference/scripted?a=1&b=%2F"),
        ("POST http://other.example:1/chat/m?x HTTP/1.1", "/chat/m?x"),
        ("POST / HTTP/1.1", "/"),
    ],
)
def test_the_route_matched_is_what_goes_upstream(
    proxy: Running, upstream: FakeUpstream, sent: str, received: str
) -> None:
    assert send_raw(proxy.port, raw_request(sent, "Host: a", "Content-Length: 0")).status == 200
    assert upstream.next_call().line == f"POST {received} HTTP/1.1"


def test_a_chunked_body_goes_on_with_its_exact_length(
    proxy: Running, upstream: FakeUpstream
) -> None:
    trailers = b"X-Rowcast-Team: red\r\nX-Rowcast-Admin: true\r\n"
    body = chunk(b'{"text":') + chunk(b' "hi"}') + b"0\r\n" + trailers + b"\r\n"
    request = raw_request(
        "POST /inference/m HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=body
    )
    assert send_raw(proxy.port, request).body == b'{"text": "hi"}'
    call = upstream.next_call()
    assert call.header("Content-Length") == "14"
    assert call.header("Transfer-Encoding") is None
    assert call.header("X-Rowcast-Team") == "blue"
    assert call.header("X-Rowcast-Admin") is None


def test_expect_is_answered_here(proxy: Running, upstream: FakeUpstream) -> None:
    request = raw_request(
        "POST /inference/m HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue"
    )
    with connected(proxy.port) as client:
        client.sendall(request)
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert read_reply(client).body == b"{}"
    assert upstream.next_call().header("Expect") is None


def test_http_1_0_gets_a_stream_without_chunking(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = lambda call: call.send(stream(b"one ", b"two"))
    with connected(proxy.port) as client:
        client.sendall(raw_request("POST /inference/m HTTP/1.0", "Content-Length: 0"))
        head, _, body = everything(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"chunked" not in head
    assert body == b"one two"


def test_a_connection_serves_many_requests(proxy: Running, upstream: FakeUpstream) -> None:
    with connected(proxy.port) as client:
        for text in (b"a", b"bb", b"ccc"):
            length = f"Content-Length: {len(text)}"
            request = raw_request("POST /inference/m HTTP/1.1", "Host: a", length, body=text)
            client.sendall(request)
            assert read_reply(client).body == text


def test_pipelined_requests_are_served_in_order(proxy: Running, upstream: FakeUpstream) -> None:
    one, two = (
        raw_request("POST /inference/m HTTP/1.1", "Host: a", "Content-Length: 1", body=body)
        for body in (b"1", b"2")
    )
    last = raw_request("GET /liveness HTTP/1.1", "Host: a", "Connection: close")
    with connected(proxy.port) as client:
        client.sendall(one + two + last)
        received = everything(client)
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.index(b"\r\n\r\n1") < received.index(b"\r\n\r\n2") < received.index(b'"alive"')
