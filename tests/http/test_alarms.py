"""Alarms ring once, when their time has come, and not before it was put off to."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processes import until
from rowcast_http import alarms as module
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


class Raced(Alarm):
    """An alarm that another thread sets just when the alarms' thread has read a certain time."""

    __slots__ = ("awaited", "meanwhile")
    _stored: Any = vars(Alarm)["due"]

    def __init__(self, ring: Callable[[], None], awaited: float) -> None:
        self.awaited = awaited
        self.meanwhile: Callable[[], None] | None = None
        super().__init__(ring)

    @property
    def due(self) -> float:
        value: float = Raced._stored.__get__(self)
        reads = threading.current_thread().name == "alarms" and value == self.awaited
        if reads and self.meanwhile is not None:
            setting = threading.Thread(target=self.meanwhile)
            self.meanwhile = None
            setting.start()
            setting.join(0.5)  # it has set the alarm, or waits until this thread has sorted it in
        return value

    @due.setter
    def due(self, value: float) -> None:
        Raced._stored.__set__(self, value)


@pytest.mark.parametrize("old", [NEVER, 0.0, 1e9], ids=["put off", "due", "later"])
def test_a_time_that_is_set_while_the_old_one_is_read_is_not_lost(
    alarms: Alarms, old: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    times, new = list[float](), list[float]()
    alarm = Raced(lambda: times.append(time.monotonic()), old)

    def meanwhile() -> None:
        new.append(time.monotonic() + 0.3)
        alarms.set(alarm, new[0])

    alarm.meanwhile = meanwhile
    alarms.set(alarm, time.monotonic() + 3600)
    alarm.due = old
    until(lambda: bool(new and times and times[-1] >= new[0]), "it rings at the new time")


def test_an_alarm_that_is_put_off_for_ever_is_soon_forgotten_however_late_it_was(
    alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    ended, waits = Rings(), Rings()
    for each in (ended, waits):
        alarms.set(each.alarm, time.monotonic() + 3600)
    ended.alarm.due = NEVER
    until(lambda: len(alarms) == 1, "only one is listed")
    assert not ended.times
    assert not waits.times


def test_an_alarm_far_ahead_rings_when_its_time_has_come(
    alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    one, due = Rings(), time.monotonic() + 0.15
    alarms.set(one.alarm, due)
    until(lambda: bool(one.times), "it rings")
    assert one.times[0] >= due


def test_a_time_beyond_what_a_thread_can_wait_for_ends_no_other_alarm(alarms: Alarms) -> None:
    far, one = Rings(), Rings()
    alarms.set(far.alarm, time.monotonic() + 1e12)
    time.sleep(0.05)  # the thread waits for it
    alarms.set(one.alarm, time.monotonic() + 0.02)
    until(lambda: bool(one.times), "the other one rings")


def test_an_alarm_that_fails_ends_no_other_one(
    alarms: Alarms, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("what it rings is gone")

    one, now = Rings(), time.monotonic()
    alarms.set(Alarm(fail), now)
    alarms.set(one.alarm, now + 0.02)
    until(lambda: bool(one.times), "the other one rings")
    assert "what it rings is gone" in caplog.text


def test_alarms_go_on_when_the_thread_could_not_be_started_at_first(
    alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one, other = Rings(), Rings()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError):
            alarms.set(one.alarm, time.monotonic())
    alarms.set(other.alarm, time.monotonic())
    until(lambda: bool(one.times and other.times), "both ring")


def test_it_ends_while_alarms_are_set() -> None:
    before = set(threading.enumerate())  # those of other tests, which may end meanwhile
    alarms, one = Alarms(), Rings()
    alarms.set(one.alarm, time.monotonic() + 3600)
    assert {each.name for each in set(threading.enumerate()) - before} == {"alarms"}
    alarms.close()
    assert set(threading.enumerate()) <= before
    assert not one.times
