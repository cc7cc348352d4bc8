"""Clients that disconnect: the server must learn of it at once, so that the row is freed."""

import contextlib
import socket
import struct
from collections.abc import Callable

import pytest

from processes import Running, awaited, until

from ..clients import connected, generate, raw_request
from ..fake_upstream import STREAM_HEAD, Call, FakeUpstream, chunk, echo

REQUEST = raw_request("POST /inference/m HTTP/1.1", "Host: a", "Content-Length: 2", body=b"{}")


def fin(client: socket.socket) -> None:
    client.close()


def rst(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def fin_behind_pipelined_bytes(client: socket.socket) -> None:
    client.sendall(REQUEST * 50)
    client.shutdown(socket.SHUT_WR)


def waiting(call: Call) -> None:
    call.await_hangup()


def head_sent(call: Call) -> None:
    call.send(STREAM_HEAD)
    call.await_hangup()


def silent_within_a_stream(call: Call) -> None:
    call.send(STREAM_HEAD + chunk(b"a token"))
    call.await_hangup()


def sending(call: Call) -> None:
    """Send until the proxy has closed, which makes sending fail."""
    call.send(STREAM_HEAD)
    with contextlib.suppress(OSError):
        while not call.hung_up.wait(0.005):
            call.send(chunk(b"a token"))
    call.hung_up.set()


def flooding(call: Call) -> None:
    """Fill every buffer, so that the proxy blocks while sending to its client."""
    call.send(STREAM_HEAD)
    with contextlib.suppress(OSError):
        while True:
            call.send(chunk(b"x" * 60_000))
    call.hung_up.set()


PHASES = [waiting, head_sent, silent_within_a_stream, sending, flooding]
WAYS = [fin, rst, half_close, fin_behind_pipelined_bytes]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("vanish", WAYS)
def test_a_client_that_goes_frees_the_server(
    proxy: Running,
    upstream: FakeUpstream,
    phase: Callable[[Call], None],
    vanish: Callable[[socket.socket], None],
) -> None:
    upstream.answer = phase
    with connected(proxy.port) as client:
        client.sendall(REQUEST)
        call = upstream.next_call()
        vanish(client)
        assert call.hung_up.wait(20)


@pytest.mark.parametrize("vanish", [fin, rst])
def test_a_client_that_goes_before_its_body_is_there(
    proxy: Running, upstream: FakeUpstream, vanish: Callable[[socket.socket], None]
) -> None:
    with connected(proxy.port) as client:
        client.sendall(REQUEST[:-1])
        vanish(client)
    assert generate(proxy.port).status == 200
    assert upstream.next_call()
    assert upstream.calls.empty()


@pytest.mark.slow
def test_a_client_that_takes_nothing_is_cut(hasty_proxy: Running, upstream: FakeUpstream) -> None:
    """The client is connected but reads nothing: the same as one whose cable was pulled."""
    upstream.answer = flooding
    with connected(hasty_proxy.port) as client:
        client.sendall(REQUEST)
        assert upstream.next_call().hung_up.wait(20)


@pytest.mark.parametrize("phase", PHASES)
def test_the_log_tells_that_the_client_went(
    proxy: Running, upstream: FakeUpstream, phase: Callable[[Call], None]
) -> None:
    upstream.answer = phase
    name = f"gone-{phase.__name__}"
    with connected(proxy.port) as client:
        lines = ("POST /inference/m HTTP/1.1", "Host: a", f"X-Request-ID: {name}")
        client.sendall(raw_request(*lines, "Content-Length: 0"))
        call = upstream.next_call()
    assert call.hung_up.wait(20)
    until(lambda: logged(proxy, name) == "client_gone", "the line that tells of it")
    assert "Traceback" not in proxy.output()


def logged(proxy: Running, request_id: str) -> str:
    for line in proxy.output().splitlines():
        if f"id={request_id} " in line:
            return line.rpartition("reason=")[2]
    return ""


@pytest.mark.slow
def test_vanishing_clients_leave_nothing_behind(proxy: Running, upstream: FakeUpstream) -> None:
    worker = awaited(proxy.children, "a worker")
    generate(proxy.port)
    upstream.next_call()
    before = worker.num_fds()
    for number in range(200):
        upstream.answer = PHASES[number % 4]
        with connected(proxy.port) as client:
            client.sendall(REQUEST)
            call = upstream.next_call()
            WAYS[number % len(WAYS)](client)
            assert call.hung_up.wait(20)
    until(lambda: worker.num_fds() <= before, "all descriptors to be closed")
    upstream.answer = echo
    assert generate(proxy.port).status == 200
