"""One separate backend process, and a frontend port connected to it, as from two terminals.

Runs under pytest and as a program: `python tests/test_decode_backend_v1.py`.

Covers `decode_backend`.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-p", "no:cacheprovider"]))

from processes import PATIENCE, ROOT, until
from rowcast.errors import PeerGone
from rowcast.sampling_params import SamplingParams
from rowcast.transport.unix_socket import UnixFrontendPort
from rowcast.wire import Accepted, Cancel, Event, Finished, Rejected, Status, Submit, Tokens
from scripted_replies import scripted_reply

WAITING_LINE = 3
ROWS = 32


class BackendProcess:
    """`python inference-api/decode_backend.py`, and its socket path."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.path = str(folder / "b.sock")
        command = [sys.executable, "inference-api/decode_backend.py"]
        command += ["--backend-socket", self.path, *flags]
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"MODEL": "scripted"})
        until(self._listens, "the backend listens")

    def _listens(self) -> bool:
        """True if it accepts connections; its path exists a moment earlier."""
        with contextlib.suppress(PeerGone):
            self.connect().close()
            return True
        return False

    def connect(self) -> UnixFrontendPort:
        return UnixFrontendPort(self.path)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    flags = ("--step-seconds", "0.01", "--waiting-line", str(WAITING_LINE))
    process = BackendProcess(tmp_path_factory.mktemp("backend"), *flags)
    yield process
    process.kill()


@pytest.fixture
def port(backend: BackendProcess) -> Iterator[UnixFrontendPort]:
    connected = backend.connect()
    yield connected
    connected.close()
    _until_idle(backend)


def _until_idle(backend: BackendProcess) -> None:
    other = backend.connect()
    until(lambda: any(each.seated == 0 for each in _statuses(other)), "all rows are free")
    other.close()


def _statuses(port: UnixFrontendPort) -> list[Status]:
    return [event for event in port.receive() if isinstance(event, Status)]


def submit(session: str, max_tokens: int = 20, text: str = "Hello", seed: int = 3) -> Submit:
    params = SamplingParams(max_tokens=max_tokens, ignore_eos=max_tokens > 1000)
    return Submit(session, 0, tuple(text.encode()), params, seed)


def receive_until(port: UnixFrontendPort, kind: type, session: str) -> list[Event]:
    """Return this session's events, up to the first of this kind."""
    events: list[Event] = []

    def arrived() -> bool:
        events.extend(each for each in port.receive() if getattr(each, "session", "") == session)
        return any(isinstance(event, kind) for event in events)

    until(arrived, f"{kind.__name__} for {session}")
    return events


def test_it_says_what_it_serves_to_who_joins(port: UnixFrontendPort) -> None:
    (status, *_) = port.receive()
    assert isinstance(status, Status)
    assert (status.model, status.rows, status.stopping) == ("scripted", ROWS, False)


def test_it_answers_a_prompt_with_tokens_and_one_end(port: UnixFrontendPort) -> None:
    port.send([submit("one")])
    accepted, *tokens, finished = receive_until(port, Finished, "one")
    assert isinstance(accepted, Accepted)
    reply = [token for event in tokens if isinstance(event, Tokens) for token in event.tokens]
    assert tuple(reply) == scripted_reply("Hello", 3, 20).tokens
    assert finished == Finished("one", 0, 20, "length")


def test_each_frontend_hears_its_own_replies_only(
    backend: BackendProcess, port: UnixFrontendPort
) -> None:
    other = backend.connect()
    port.send([submit("same", text="from the first")])
    other.send([submit("same", text="from the other")])
    for end, text in ((port, "from the first"), (other, "from the other")):
        events = receive_until(end, Finished, "same")
        tokens = [token for each in events if isinstance(each, Tokens) for token in each.tokens]
        assert tuple(tokens) == scripted_reply(text, 3, 20).tokens
    other.close()


def test_a_cancelled_reply_ends_cancelled(port: UnixFrontendPort) -> None:
    port.send([submit("long", 2000)])
    receive_until(port, Tokens, "long")
    port.send([Cancel("long", 0)])
    last = receive_until(port, Finished, "long")[-1]
    assert isinstance(last, Finished)
    assert last.reason == "cancelled"


def test_a_full_line_is_told_with_a_time_to_come_back(port: UnixFrontendPort) -> None:
    port.send([submit(f"long {number}", 2000) for number in range(ROWS + WAITING_LINE)])
    port.send([submit("one too many")])
    (rejected,) = receive_until(port, Rejected, "one too many")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "overloaded"
    assert rejected.retry_after >= 1


def test_a_prompt_that_is_too_long_is_rejected(port: UnixFrontendPort) -> None:
    port.send([submit("too long", text="x" * 20_000)])
    (rejected,) = receive_until(port, Rejected, "too long")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "too_long"


def test_the_rows_of_a_frontend_that_leaves_are_free(
    backend: BackendProcess, port: UnixFrontendPort
) -> None:
    port.send([submit(f"long {number}", 2000) for number in range(ROWS)])
    receive_until(port, Tokens, f"long {ROWS - 1}")
    port.close()
    _until_idle(backend)


@pytest.mark.slow
def test_sigterm_finishes_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    backend = BackendProcess(tmp_path, "--step-seconds", "0.01")
    port = backend.connect()
    port.send([submit("accepted", 60)])
    receive_until(port, Tokens, "accepted")
    backend.process.send_signal(signal.SIGTERM)
    until(lambda: any(status.stopping for status in _statuses(port)), "it says that it stops")
    port.send([submit("late")])
    (rejected,) = receive_until(port, Rejected, "late")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "stopping"
    until(lambda: _has_ended(port), "the connection ends with the last reply")
    assert backend.process.wait(timeout=PATIENCE) == 0
    assert not Path(backend.path).exists()


def _has_ended(port: UnixFrontendPort) -> bool:
    try:
        port.receive()
    except PeerGone:
        return True
    return False


@pytest.mark.slow
def test_a_killed_backend_is_an_end_for_its_frontends(tmp_path: Path) -> None:
    backend = BackendProcess(tmp_path)
    port = backend.connect()
    backend.kill()
    until(lambda: _has_ended(port), "the frontend sees the end")


@pytest.mark.slow
def test_a_second_backend_takes_over_a_dead_ones_socket_but_not_a_living_ones(
    tmp_path: Path,
) -> None:
    first = BackendProcess(tmp_path)
    command = [sys.executable, "inference-api/decode_backend.py", "--backend-socket", first.path]
    refused = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert refused.returncode == 2
    assert "another backend already listens" in refused.stderr
    first.kill()
    second = BackendProcess(tmp_path)
    until(lambda: _serves(second), "the second serves")
    assert second.stop() == 0


def _serves(backend: BackendProcess) -> bool:
    try:
        port = backend.connect()
    except PeerGone:
        return False
    answered = bool(_statuses(port))
    port.close()
    return answered
