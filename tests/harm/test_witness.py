"""The harness itself: it reports no harm where there is none, and every harm that there is."""

import signal
import threading
import time

import psutil
import pytest

from commands.abuse.attacks.shot import Shot
from commands.abuse.measurement.witness import Figures
from harm.witness import Harm, Witness

pytestmark = pytest.mark.slow
CALM = Figures(stall=0.02, short=0.05, health=0.01, chunks=100, shorts=10, refused=0, cuts=0)


def figures(**more: float) -> Figures:
    usual = {"stall": 0.02, "short": 0.05, "health": 0.01, "chunks": 100, "shorts": 10}
    return Figures(**{**usual, "refused": 0, "cuts": 0, **more})  # type: ignore[arg-type]


def test_an_ordinary_request_does_no_harm(scripted: Witness) -> None:
    body = {"model": scripted.facts.model, "prompt": "Hello", "max_tokens": 4}
    with scripted.attacked() as harm:
        answer = scripted.ask(body=body)
        answers = scripted.deliver(Shot.of(body, copies=3))
    assert answer.status == 200
    assert answers.counts == {"200": 3}
    assert harm.seen.chunks > 10
    assert harm.seen.shorts > 0
    harm.expect_none(short_times=20)


def test_a_stopped_worker_is_seen_as_a_stall(scripted: Witness) -> None:
    worker = scripted.server.workers()[0]
    with scripted.attacked() as harm:
        worker.send_signal(signal.SIGSTOP)
        timer = threading.Timer(2.0, worker.send_signal, [signal.SIGCONT])
        timer.start()
        timer.join()
    assert harm.seen.stall > 1.5
    assert any("stalled" in each for each in harm.found())
    assert harm.died == []


def test_a_killed_backend_is_seen(scripted: Witness) -> None:
    backend = scripted.server.backend()
    with scripted.attacked() as harm:
        backend.kill()
        _until_gone(backend)
    assert harm.died == ["backend"]
    with pytest.raises(AssertionError, match="died: backend"):
        harm.expect_none()


def test_the_teams_are_two(scripted: Witness) -> None:
    body = {"model": scripted.facts.model, "prompt": "Hello", "max_tokens": 1}
    stream = scripted.ask(body=body, team="one").headers["x-stream-id"]
    path = f"/v1/streams/{stream}"
    assert scripted.ask(path, method="GET", team="one").status == 200
    assert scripted.ask(path, method="GET", team="two").status == 404


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stall": 3.0}, "stalled for 3.00 s"),
        ({"cuts": 1}, "1 streams were cut"),
        ({"short": 3.0}, "a short request took 3.00 s"),
        ({"refused": 2}, "2 short requests were refused"),
    ],
)
def test_each_bound_is_named(more: dict[str, float], said: str) -> None:
    harm = Harm(CALM, 0, 0, figures(**more))
    assert len(harm.found()) == 1
    assert said in harm.found()[0]


def test_memory_that_is_not_given_back_is_named() -> None:
    assert Harm(CALM, 0, 160 << 20, figures()).found() == ["160 MiB were not given back"]
    assert Harm(CALM, 0, 160 << 20, figures()).found(memory=170 << 20) == []


def _until_gone(process: psutil.Process) -> None:
    limit = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < limit, "it lives"
        time.sleep(0.05)
