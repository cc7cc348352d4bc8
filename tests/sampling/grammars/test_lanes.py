"""Lanes: jobs in turn by team, and none waits for a slow one."""

import threading
import time
from functools import partial

from rowcast.sampling.grammars.lanes import Job, Lane, Turns

STACK = 2**20


def wait_for(event: threading.Event) -> None:
    assert event.wait(60)


def test_teams_have_their_turns() -> None:
    turns = Turns()
    jobs = {name: Job(name[0], lambda: None) for name in ("a1", "a2", "a3", "b1", "c1")}
    for job in jobs.values():
        turns.add(job)
    assert turns.remove(jobs["a2"])
    assert not turns.remove(jobs["a2"])
    names = {job: name for name, job in jobs.items()}
    assert [names[job] for job in iter(turns.take, None)] == ["a1", "b1", "c1", "a3"]


def test_a_slow_job_loses_its_lane_and_is_done_all_the_same() -> None:
    lane = Lane("lane", patience=0.005, stack_bytes=STACK)
    go_on, called = threading.Event(), threading.Event()
    slow = Job("a", partial(wait_for, go_on), called.set)
    others = [Job("a", lambda: None) for _ in range(5)]
    lane.add([slow, *others])
    lane.settle(60)
    assert called.is_set()
    assert [job.done for job in (slow, *others)] == [False] + [True] * 5
    go_on.set()
    limit = time.monotonic() + 60
    while not slow.done:
        assert time.monotonic() < limit
        time.sleep(0.001)
    lane.add(others[:1])
    lane.settle(60)


def test_nobody_waits_longer_than_they_want_to() -> None:
    lane = Lane("lane", patience=60, stack_bytes=STACK)
    go_on = threading.Event()
    first, second = Job("a", partial(wait_for, go_on)), Job("a", lambda: None)
    lane.add([first, second])
    lane.settle(0.01)
    assert not first.done
    assert lane.cancel(second)
    assert not lane.cancel(first) or not first.started
    go_on.set()
    lane.settle(60)
    assert (first.done, second.done) == (True, False)


def test_an_error_is_kept_for_whoever_waits_and_the_lane_goes_on() -> None:
    def fail() -> None:
        raise MemoryError

    lane = Lane("lane", patience=60, stack_bytes=STACK)
    failing, sound = Job("a", fail), Job("a", lambda: None)
    lane.add([failing, sound])
    lane.settle(60)
    assert isinstance(failing.error, MemoryError)
    assert sound.done
