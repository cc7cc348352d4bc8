"""Stop, reload, upgrade: open streams finish, new requests are served or refused.

Covers `frontend/listening/worker`, `rowcast_http/worker`.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processes import Running, children, family, gone, until
from raw_http import Answer, Client, ask, request_bytes
from reliability.conftest import Start
from reliability.streams import begin, begin_several, finish_all, prompt
from scripted_replies import scripted_reply

pytestmark = pytest.mark.slow

STEP = 0.01


def _one_more(server: Running) -> Answer:
    return ask(server.port, prompt("One more", 1, 3))


def _assert_nothing_is_left(
    server: Running, everyone: list[psutil.Process], leftovers: Path
) -> None:
    """Check that it exits cleanly, and that its processes and its socket are gone."""
    assert server.stop() == 0
    until(lambda: gone(everyone), "everyone has ended")
    assert not list(leftovers.iterdir())


def test_sigterm_lets_open_streams_finish_and_sends_new_requests_away(
    start: Start, leftovers: Path
) -> None:
    server = start(STEP_SECONDS=STEP, WORKERS=2)
    until(lambda: len(server.workers()) == 2, "two workers")
    streams = begin_several(server.port, 6, 200)
    everyone = family(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: _one_more(server).status == 503, "a new request is sent away")
    refused = _one_more(server)
    assert refused.json()["status_code"] == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert ask(server.port, request_bytes("/readiness", method="GET")).status == 503
    assert ask(server.port, request_bytes("/liveness", method="GET")).status == 200
    finish_all(streams)
    _assert_nothing_is_left(server, everyone, leftovers)


def test_a_stream_that_outlasts_the_grace_is_cut_not_ended(start: Start, leftovers: Path) -> None:
    server = start(STEP_SECONDS=0.05, GRACEFUL_SECONDS=2)
    stream = begin(server.port, "too long", 1500)
    everyone = family(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    assert stream.is_cut()
    _assert_nothing_is_left(server, everyone, leftovers)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_does_not_wait_for_streams(
    start: Start, leftovers: Path, how: signal.Signals
) -> None:
    server = start(STEP_SECONDS=0.05)
    stream = begin(server.port, "too long", 1500)
    everyone = family(server.process.pid)
    server.process.send_signal(how)
    assert stream.is_cut()
    _assert_nothing_is_left(server, everyone, leftovers)


def test_a_second_interrupt_hurries_a_graceful_stop(start: Start) -> None:
    server = start(STEP_SECONDS=0.05)
    stream = begin(server.port, "too long", 1500)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: _one_more(server).status == 503, "the stop has begun")
    server.process.send_signal(signal.SIGINT)
    assert stream.is_cut()
    assert server.stop() == 0


def test_a_worker_that_is_being_replaced_does_not_hold_up_the_end(start: Start) -> None:
    server = start(WORKERS=2)
    until(lambda: len(server.workers()) == 2, "two workers")
    server.workers()[0].kill()
    until(lambda: len(server.workers()) == 2, "the worker is replaced")
    assert server.stop() == 0  # within the test's timeout, which is shorter than the grace


class _Stubborn(threading.Thread):
    """Sends requests repeatedly, and records those without a good answer."""

    def __init__(self, port: int) -> None:
        super().__init__(name="stubborn-client", daemon=True)
        self._port = port
        self._enough = threading.Event()
        self._good = scripted_reply("Hello", 5, 2).text.encode()
        self.asked = 0
        self.bad: list[str] = []

    def run(self) -> None:
        while not self._enough.wait(0.005):
            self.asked += 1
            try:
                answer = ask(self._port, prompt("Hello", 5, 2))
            except (OSError, AssertionError) as error:
                self.bad.append(repr(error))
            else:
                if answer.body != self._good:
                    self.bad.append(f"{answer.status} {answer.text}")

    def stop(self) -> None:
        self._enough.set()
        self.join(timeout=30)


@contextlib.contextmanager
def _asked_all_the_while(port: int) -> Iterator[_Stubborn]:
    """Fail if one of many requests during the block was not answered well."""
    stubborn = _Stubborn(port)
    stubborn.start()
    try:
        yield stubborn
    finally:
        stubborn.stop()
    assert not stubborn.bad
    assert stubborn.asked > 5


def test_a_reload_replaces_the_workers_and_nobody_notices(start: Start, leftovers: Path) -> None:
    server = start(STEP_SECONDS=STEP)
    old, backend = server.workers(), server.backend()
    stream = begin(server.port, "across the reload", 150)
    with _asked_all_the_while(server.port):
        server.process.send_signal(signal.SIGHUP)
        stream.finish()
        until(lambda: gone(old), "the old workers have ended")
    assert len(server.workers()) == 1
    assert server.backend() == backend
    everyone = family(server.process.pid)
    _assert_nothing_is_left(server, everyone, leftovers)


def test_a_reload_loses_no_request_that_comes_on_a_connection_of_the_old_worker(
    start: Start, leftovers: Path
) -> None:
    server = start(STEP_SECONDS=STEP)
    old = server.workers()
    kept, silent = Client(server.port), Client(server.port)
    kept.send(_keeping(request_bytes("/liveness", method="GET"))).read_headers()
    kept.read_body(int(kept.so_far().headers["content-length"]))
    assert kept.so_far().headers.get("connection") != "close"
    kept.received = b""
    server.process.send_signal(signal.SIGHUP)
    until(lambda: _one_more(server).status == 200 and len(server.workers()) == 2, "a new worker")
    for client in (kept, silent):
        with client:
            answer = client.send(_keeping(prompt("Hello", 5, 5))).finish()
        assert answer.headers["connection"] == "close"
        assert answer.text == scripted_reply("Hello", 5, 5).text
    until(lambda: gone(old), "the old worker has ended")
    _assert_nothing_is_left(server, family(server.process.pid), leftovers)


def _keeping(request: bytes) -> bytes:
    """Return the same request, but without closing the connection."""
    return request.replace(b"Connection: close\r\n", b"")


def _launches(process: psutil.Process) -> bool:
    """True if it is a supervisor, or one of its forks."""
    return "rowcast.launch" in process.cmdline()


def _successor(server: Running) -> psutil.Process | None:
    """Return the new master: a child of the old one that has its own supervisor."""
    for child in server.children():
        with contextlib.suppress(psutil.Error):
            if not _launches(child) and any(map(_launches, children(child.pid))):
                return child
    return None


def _end_for_good(master: psutil.Process) -> None:
    """Terminate a successor, which is nobody's child: if the test fails, it must not survive."""
    with contextlib.suppress(psutil.NoSuchProcess):
        master.terminate()


def test_an_upgrade_serves_all_the_while_with_a_backend_of_its_own(
    start: Start, leftovers: Path, request: pytest.FixtureRequest
) -> None:
    server = start(STEP_SECONDS=STEP)
    old = family(server.process.pid)
    stream = begin(server.port, "across the upgrade", 150)
    with _asked_all_the_while(server.port) as stubborn:
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: _successor(server) is not None, "a new master has its supervisor")
        new = _successor(server)
        assert new is not None
        request.addfinalizer(lambda: _end_for_good(new))
        until(lambda: len(children(new.pid)) == 2, "it has its worker")
        asked = stubborn.asked
        until(lambda: stubborn.asked > asked + 10, "both serve")
        server.process.send_signal(signal.SIGTERM)
        stream.finish()
        until(lambda: gone(old), "the old server has ended")
        asked = stubborn.asked
        until(lambda: stubborn.asked > asked + 5, "the new one serves alone")
    everyone = family(new.pid)
    assert len(everyone) == 5
    new.send_signal(signal.SIGTERM)
    until(lambda: gone(everyone), "the new server has ended, too")
    assert not list(leftovers.iterdir())
