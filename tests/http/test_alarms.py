"""Alarms ring once, when their time has come, and not before it was put off to."""

import threading
import time
from collections.abc import Iterator

import pytest

from processes import until
from rowcast_http.alarms import NEVER, Alarm, Alarms


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    made = Alarms()
    yield made
    made.close()


class Rings:
    """An alarm that notes when it rang."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.alarm = Alarm(lambda: self.times.append(time.monotonic()))


def test_an_alarm_rings_once_after_its_time(alarms: Alarms) -> None:
    one, other, due = Rings(), Rings(), time.monotonic() + 0.02
    alarms.set(one.alarm, due)
    alarms.set(other.alarm, due + 0.02)
    until(lambda: bool(other.times), "the later one rings")
    assert len(one.times) == len(other.times) == 1
    assert due <= one.times[0] <= other.times[0]
    assert not len(alarms)


def test_what_was_put_off_rings_later(alarms: Alarms) -> None:
    put_off, witness, now = Rings(), Rings(), time.monotonic()
    alarms.set(put_off.alarm, now + 0.02)
    put_off.alarm.due = now + 0.1
    alarms.set(witness.alarm, now + 0.04)
    until(lambda: bool(witness.times), "the witness rings")
    until(lambda: bool(put_off.times), "what was put off rings")
    assert put_off.times[0] >= now + 0.1
    assert witness.times[0] >= now + 0.04


def test_what_was_put_off_for_ever_is_forgotten(alarms: Alarms) -> None:
    put_off, witness, now = Rings(), Rings(), time.monotonic()
    alarms.set(put_off.alarm, now + 0.02)
    put_off.alarm.due = NEVER
    alarms.set(witness.alarm, now + 0.04)
    until(lambda: bool(witness.times), "the witness rings")
    assert not put_off.times
    assert not len(alarms)


def test_an_earlier_time_counts(alarms: Alarms) -> None:
    one, now = Rings(), time.monotonic()
    alarms.set(one.alarm, now + 3600)
    alarms.set(one.alarm, now + 0.02)
    until(lambda: bool(one.times), "it rings at the earlier time")
    assert len(one.times) == 1
    alarms.set(one.alarm, now + 0.04)
    until(lambda: len(one.times) == 2, "it can be set again")


def test_a_wait_that_is_put_off_again_and_again_is_listed_once(alarms: Alarms) -> None:
    one = Rings()
    for _ in range(1000):
        alarms.set(one.alarm, time.monotonic() + 3600)
    assert len(alarms) == 1
    assert not one.times


def test_it_ends_while_alarms_are_set() -> None:
    before = set(threading.enumerate())  # those of other tests, which may end meanwhile
    alarms, one = Alarms(), Rings()
    alarms.set(one.alarm, time.monotonic() + 3600)
    assert {each.name for each in set(threading.enumerate()) - before} == {"alarms"}
    alarms.close()
    assert set(threading.enumerate()) <= before
    assert not one.times
