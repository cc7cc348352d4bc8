"""One more engine, and one more carrier: a file and a line each, and they serve a reply.

The backend is a process of its own; the frontend's sessions are in this one. The carrier shows no
EOF, so a backend that is killed is noticed by its silence, and its replies continue in the next.

Covers `engines`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frontend.sessions.played import open_choices
from processes import ROOT, until
from rowcast.engines import ENGINES, prepare_engine
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.sampling_params import SamplingParams
from rowcast.settings import read_settings
from rowcast.transport.carriers import CARRIERS, carrier
from rowcast.wire import Finished, Submit
from transport.spool import Spool

from . import toy_engine

BACKEND = """
from launch import toy_engine
from rowcast.engines import ENGINES
from rowcast.launch.backend_process import run_backend_alone
from rowcast.settings import read_settings
from rowcast.transport.carriers import CARRIERS
from transport.spool import Spool

ENGINES["parrot"] = toy_engine.prepare
CARRIERS["spool"] = Spool
settings = read_settings()
raise SystemExit(run_backend_alone(settings, settings.backend_socket))
"""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a toy carrier, which this process knows."""
    monkeypatch.setitem(CARRIERS, "spool", Spool)
    return f"spool:{tmp_path}"


@contextmanager
def backend(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that knows both toys, and runs one backend."""
    path = os.pathsep.join([str(ROOT / "inference-api"), str(ROOT / "tests")])
    env = os.environ | {"PYTHONPATH": path, "MODEL": "parrot", "BACKEND_SOCKET": url}
    with subprocess.Popen([sys.executable, "-c", BACKEND], env=env, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def connected(url: str) -> Iterator[Sessions]:
    """A frontend's sessions, as soon as a backend serves."""
    sessions = Sessions(carrier(url).connect, silence_seconds=60, recovery_seconds=60)
    sessions.start()
    try:
        until(lambda: sessions.health().ready, "the backend is ready")
        yield sessions
    finally:
        sessions.close()


def opened(sessions: Sessions, text: bytes, max_tokens: int = 64) -> Choice:
    prompt = Submit("s", 0, tuple(text), SamplingParams(max_tokens=max_tokens), 1)
    return open_choices(sessions, prompt)[0]


def reply_of(choice: Choice) -> tuple[bytes, str]:
    """Return the reply's text and why it ended."""
    ends: list[Finished] = []

    def ended() -> bool:
        ends.extend(each for each in choice.take(1.0) if isinstance(each, Finished))
        return bool(ends)

    until(ended, "the end")
    return bytes(choice.tokens), ends[0].reason


def test_an_engine_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "parrot", toy_engine.prepare)
    assert prepare_engine(read_settings(model="parrot"))().model == "parrot"


def test_a_toy_engine_serves_a_reply_over_a_toy_carrier(url: str) -> None:
    with backend(url), connected(url) as sessions:
        assert reply_of(opened(sessions, b"Hello")) == (b"Hello", "stop")
        status = sessions.health().status
        assert status is not None
        assert (status.model, status.rows) == ("parrot", 4)


@pytest.mark.slow
def test_without_eof_a_killed_backend_s_replies_continue_in_the_next(url: str) -> None:
    with backend(url) as first, connected(url) as sessions:
        first.kill()
        first.wait()
        choice = opened(sessions, b"Hello again")  # not noticed yet: it is ready all the same
        with backend(url):
            assert reply_of(choice) == (b"Hello again", "stop")
