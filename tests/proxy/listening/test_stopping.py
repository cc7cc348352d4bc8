"""SIGTERM: open streams finish, new requests get a 503, and the exit status is 0.

Covers `rowcast_proxy/listening/worker`, `rowcast_http/worker`.
"""

import contextlib
import http.client
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from processes import Running, awaited, until

from ..clients import (
    PATIENCE,
    ask,
    bearer,
    connected,
    everything,
    generate,
    raw_request,
    read_until,
)
from ..conftest import running_proxy
from ..fake_upstream import LAST_CHUNK, STREAM_HEAD, Call, FakeUpstream, chunk, echo

pytestmark = pytest.mark.slow

Start = Callable[..., Running]


class Paused:
    """An answer that pauses halfway until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, call: Call) -> None:
        call.send(STREAM_HEAD + chunk(b"one"))
        if self.go.wait(PATIENCE):  # otherwise the test has ended and reads no more
            call.send(chunk(b"two") + LAST_CHUNK)


@pytest.fixture
def start(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Running]]:
    """Start a proxy that the test may break."""
    with contextlib.ExitStack() as stack:

        def begin(**env: str) -> Running:
            folder = tmp_path_factory.mktemp("stopping")
            return stack.enter_context(running_proxy(folder, upstream.url, env))

        yield begin


def begin_stream(client: socket.socket) -> None:
    lines = ("POST /inference/m HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 0")
    client.sendall(raw_request(*lines))
    read_until(client, chunk(b"one"))


def refusing(proxy: Running) -> bool:
    return generate(proxy.port).status == 503


@pytest.mark.parametrize("workers", ["1", "2"])
def test_open_streams_finish_while_new_requests_are_told(
    start: Start, upstream: FakeUpstream, workers: str
) -> None:
    proxy = start(PROXY_WORKERS=workers)
    upstream.answer = paused = Paused()
    with connected(proxy.port) as client:
        begin_stream(client)
        upstream.answer = echo
        proxy.process.send_signal(signal.SIGTERM)
        until(lambda: refusing(proxy), "new requests to be refused")
        reply = ask(proxy.port, "POST", "/", b"{}", bearer())
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.message == "The proxy is stopping."
        assert reply.headers["Connection"] == "close"
        assert ask(proxy.port, "GET", "/readiness").status == 503
        assert ask(proxy.port, "GET", "/liveness").status == 200
        paused.go.set()
        assert everything(client) == chunk(b"two") + LAST_CHUNK
    assert proxy.process.wait(PATIENCE) == 0


def test_a_worker_that_was_still_starting_stops_too(start: Start) -> None:
    """The new worker may be stopped before its signal handler is set."""
    proxy = start()
    proxy.process.send_signal(signal.SIGTTIN)
    until(lambda: len(proxy.children()) == 2, "a second worker")
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(PATIENCE) == 0


def test_an_idle_proxy_stops_at_once(start: Start) -> None:
    proxy = start()
    with connected(proxy.port) as idle:
        idle.sendall(raw_request("GET /liveness HTTP/1.1", "Host: a"))
        read_until(idle, b"}")
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


def test_streams_longer_than_the_graceful_timeout_are_cut(
    start: Start, upstream: FakeUpstream
) -> None:
    proxy = start(PROXY_GRACEFUL_S="2")
    upstream.answer = Paused()
    with connected(proxy.port) as client:
        begin_stream(client)
        proxy.process.send_signal(signal.SIGTERM)
        assert LAST_CHUNK not in everything(client)
    assert proxy.process.wait(PATIENCE) == 0


def test_ctrl_c_stops_everything(start: Start, upstream: FakeUpstream) -> None:
    proxy = start()
    upstream.answer = Paused()
    with connected(proxy.port) as client:
        begin_stream(client)
        assert proxy.stop(signal.SIGINT) == 0
        assert LAST_CHUNK not in everything(client)


def test_a_reload_serves_on(start: Start, upstream: FakeUpstream) -> None:
    """Workers that leave while the proxy stays must not refuse requests that others can serve."""
    proxy = start()
    old = proxy.children()
    upstream.answer = paused = Paused()
    with connected(proxy.port) as client:
        begin_stream(client)
        upstream.answer = echo
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: len(proxy.children()) == 2, "a new worker")
        for _ in range(20):
            assert generate(proxy.port).status == 200
        paused.go.set()
        assert everything(client) == chunk(b"two") + LAST_CHUNK
    psutil.wait_procs(old, timeout=PATIENCE)
    assert generate(proxy.port).status == 200


def test_no_worker_outlives_its_arbiter(start: Start) -> None:
    proxy = start()
    workers = proxy.children()
    proxy.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert alive == []


def test_a_killed_worker_is_replaced(start: Start) -> None:
    proxy = start()
    awaited(proxy.children, "a worker").kill()
    until(lambda: answers(proxy), "a new worker to answer")


def answers(proxy: Running) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return generate(proxy.port).status == 200
    return False
