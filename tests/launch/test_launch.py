"""The launcher's parts: the engine for a model, and a child that dies with its parent.

Covers `launch`, `engines`, `parent_death`.
"""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from processes import ROOT, gone, until
from rowcast.engines import prepare_engine
from rowcast.errors import RowcastError
from rowcast.launch.launcher import LEAST_PAUSE, PAUSES, pause_after
from rowcast.settings import read_settings

ENV = os.environ | {"PYTHONPATH": str(ROOT / "inference-api"), "MODEL": "scripted"}


def test_the_scripted_model_is_an_engine() -> None:
    engine = prepare_engine(read_settings(model="scripted"))()
    assert (engine.model, engine.rows) == ("scripted", 32)


def test_the_mock_is_the_scripted_engine_whatever_the_model() -> None:
    assert (
        prepare_engine(read_settings(model="/no/such/model", mock_model=True))().model == "scripted"
    )


def test_a_model_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(RowcastError, match="/no/such/model"):
        prepare_engine(read_settings(model="/no/such/model"))


def test_the_scripted_engine_keeps_the_pace_of_the_settings() -> None:
    engine = prepare_engine(read_settings(model="scripted", step_seconds=0.05))()
    before = time.monotonic()
    engine.step([])
    assert time.monotonic() - before >= 0.05


def test_the_first_restart_is_at_once_and_later_ones_wait_longer() -> None:
    assert PAUSES[0] == 0
    assert list(PAUSES) == sorted(PAUSES)


def test_backends_that_never_serve_are_started_ever_later() -> None:
    assert [pause_after(failures, 0.0) for failures in range(1, 9)] == [*PAUSES, *[PAUSES[-1]] * 2]


def test_after_one_that_served_nobody_waits_longer_than_it_did() -> None:
    assert pause_after(1, 0.1) == 0
    assert pause_after(20, 0.1) == LEAST_PAUSE
    assert pause_after(20, 3.0) == 3.0
    assert pause_after(20, 300.0) == PAUSES[-1]


PARENT = """
import os, signal, sys, time
from rowcast.parent_death import die_with_parent
child = os.fork()
if not child:
    die_with_parent(signal.SIGKILL, {parent})
    print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_a_child_dies_with_its_parent_however_that_ends() -> None:
    code = PARENT.format(parent="os.getppid()")
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        until(lambda: gone([child]), "the child's end")


def test_a_child_whose_parent_has_gone_already_ends_at_once() -> None:
    code = (
        "import signal; from rowcast.parent_death import die_with_parent as d; d(signal.SIGKILL, 1)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; print('lived on')"],
        env=ENV,
        stdout=subprocess.PIPE,
        timeout=30,
        check=True,
    )
    assert ended.stdout == b""
