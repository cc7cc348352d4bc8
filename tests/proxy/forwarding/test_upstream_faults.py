"""When the server fails, the client gets an error or a cut, never an apparently clean end.

Covers `upstream`, `relay`.
"""

import contextlib
import http.client
import socket

import pytest

from processes import Running, free_port, until

from ..clients import bearer, connected, everything, generate, raw_request
from ..conftest import running_proxy
from ..fake_upstream import STREAM_HEAD, Call, FakeUpstream, chunk


@pytest.mark.slow
def test_nobody_listens(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running_proxy(tmp_path_factory.mktemp("alone"), nowhere) as alone:
        reply = generate(alone.port)
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert "cannot be reached" in reply.message


@pytest.mark.slow
def test_a_name_that_nobody_has(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_proxy(tmp_path_factory.mktemp("lost"), "http://nobody.invalid:7000") as lost:
        assert generate(lost.port).status == 503


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\n\r\nno framing",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        STREAM_HEAD + b"XX\r\n",
    ],
)
def test_no_valid_answer(proxy: Running, upstream: FakeUpstream, garbage: bytes) -> None:
    upstream.answer = lambda call: call.send(garbage)
    reply = generate(proxy.port)
    assert reply.status == 502
    assert "valid response" in reply.message
    assert upstream.next_call()
    assert upstream.calls.empty(), "a request is never sent twice"


def test_a_reset_instead_of_an_answer(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = Call.reset
    assert generate(proxy.port).status == 502
    assert upstream.next_call()
    assert upstream.calls.empty()


def test_no_answer_in_time(hasty_proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = Call.await_hangup
    reply = generate(hasty_proxy.port)
    assert reply.status == 504
    assert "in time" in reply.message
    assert upstream.next_call().hung_up.wait(20)


def test_a_head_that_drips_is_no_answer_in_time(
    hasty_proxy: Running, upstream: FakeUpstream
) -> None:
    def drip(call: Call) -> None:
        with contextlib.suppress(OSError):
            for _ in range(200):
                call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                if call.hung_up.wait(0.1):
                    return

    upstream.answer = drip
    assert generate(hasty_proxy.port).status == 504


def cut_stream(call: Call) -> None:
    call.send(STREAM_HEAD + chunk(b"half an ans"))


def reset_stream(call: Call) -> None:
    cut_stream(call)
    call.reset()


def broken_chunk(call: Call) -> None:
    cut_stream(call)
    call.hung_up.wait(0.2)
    call.send(b"XX\r\n")


def cut_within_a_chunk(call: Call) -> None:
    call.send(STREAM_HEAD + b"ff\r\nhalf an ans")


def cut_within_the_end(call: Call) -> None:
    call.send(STREAM_HEAD + chunk(b"half an ans") + b"0\r\n")


def cut_length(call: Call) -> None:
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf an ans")


def stall(call: Call) -> None:
    cut_stream(call)
    call.await_hangup()


CUTS = [cut_stream, broken_chunk, cut_within_a_chunk, cut_within_the_end, cut_length, stall]


@pytest.mark.parametrize("cut", [*CUTS, reset_stream])
def test_a_broken_stream_cuts_the_client(
    hasty_proxy: Running, upstream: FakeUpstream, cut: object
) -> None:
    assert callable(cut)
    upstream.answer = cut
    connection = http.client.HTTPConnection("127.0.0.1", hasty_proxy.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/inference/m", b"{}", bearer())
        response = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
    if cut is not reset_stream:  # a reset may overtake bytes
        assert caught.value.partial == b"half an ans"


def test_a_broken_stream_resets_a_client_that_knows_no_chunks(
    proxy: Running, upstream: FakeUpstream
) -> None:
    upstream.answer = cut_stream
    with connected(proxy.port) as client:
        client.sendall(raw_request("POST /inference/m HTTP/1.0", "Content-Length: 0"))
        with pytest.raises(ConnectionResetError):
            drain(client)


def drain(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def test_a_broken_stream_has_no_last_chunk(proxy: Running, upstream: FakeUpstream) -> None:
    upstream.answer = cut_stream
    with connected(proxy.port) as client:
        client.sendall(raw_request("POST /inference/m HTTP/1.1", "Host: a", "Content-Length: 0"))
        received = everything(client)
    assert received.lower().endswith(chunk(b"half an ans"))


@pytest.mark.parametrize(("cut", "reason"), [(cut_stream, "cut"), (stall, "idle")])
def test_why_a_stream_broke_is_in_the_log(
    hasty_proxy: Running, upstream: FakeUpstream, cut: object, reason: str
) -> None:
    assert callable(cut)
    upstream.answer = cut
    with connected(hasty_proxy.port) as client:
        lines = ("POST /inference/m HTTP/1.1", "Host: a", f"X-Request-ID: broken-{reason}")
        client.sendall(raw_request(*lines, "Content-Length: 0"))
        everything(client)
    until(lambda: f"broken-{reason}" in hasty_proxy.output(), "the line of the request")
    (line,) = [each for each in hasty_proxy.output().splitlines() if f"broken-{reason}" in each]
    assert f"reason=upstream_{reason}" in line
    assert "team=blue" in line
    assert "status=200" in line
    assert "bytes=11" in line
    assert "Traceback" not in hasty_proxy.output()


@pytest.mark.slow
def test_the_proxy_lives_on_when_the_server_is_replaced(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = free_port()
    folder = tmp_path_factory.mktemp("replaced")
    with running_proxy(folder, f"http://127.0.0.1:{port}") as proxy:
        assert generate(proxy.port).status == 503
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(20)
            with connected(proxy.port) as client:
                lines = ("POST /inference/m HTTP/1.1", "Host: a", "Content-Length: 0")
                client.sendall(raw_request(*lines))
                server, _ = listener.accept()
                with server:
                    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
