"""The heartbeat once there is one; before it, whether the process runs at all."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import until
from rowcast.launch.heartbeat import Heartbeat, turns

RUNS = "import time\nwhile True: time.sleep(0.001)"
STARTS_ONE_THAT_RUNS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {RUNS!r}])"
SLEEPS = "import time; print(flush=True); time.sleep(3600)"


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[int]:
    """A separate Python program."""
    command = [sys.executable, "-c", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as started:
        yield started.pid
        os.killpg(started.pid, 9)


def misses(heartbeat: Heartbeat, process: int, seconds: float = 0.5) -> bool:
    """True if the heartbeat is missed within the next seconds."""
    until_then = time.monotonic() + 4 * seconds
    while time.monotonic() < until_then:
        if heartbeat.missed(seconds, process):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("process", [RUNS, STARTS_ONE_THAT_RUNS], indirect=True)
def test_who_loads_and_runs_is_not_missed(process: int) -> None:
    assert not misses(Heartbeat(), process, seconds=2.0)  # others have the processor for a while


@pytest.mark.parametrize("process", [SLEEPS], indirect=True)
def test_who_loads_and_does_not_run_is(process: int) -> None:
    assert misses(Heartbeat(), process)


def test_a_beat_since_the_last_look_is_enough() -> None:
    heartbeat = Heartbeat()
    for _ in range(3):
        heartbeat.beat()
        assert not heartbeat.missed(0.0, os.getpid())


def test_who_stopped_beating_is_missed_though_it_runs() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat()
    assert misses(heartbeat, os.getpid())
    assert not heartbeat.missed(3600, os.getpid())


def test_it_knows_since_when_there_is_one() -> None:
    heartbeat = Heartbeat()
    assert heartbeat.since() == 0
    heartbeat.beat()
    time.sleep(0.01)
    first = heartbeat.since()
    heartbeat.beat()
    assert heartbeat.since() >= first > 0


def test_where_the_kernel_does_not_count_nobody_is_missed(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    first = turns(7, tmp_path)
    until(lambda: turns(7, tmp_path) > first, "time going on")


def test_who_has_ended_has_no_turns(tmp_path: Path) -> None:
    assert turns(7, tmp_path) == 0
