"""A pulse is missed only by who had one."""

import time

from rowcast.pulse import Pulse


def test_none_is_missed_before_the_first_beat() -> None:
    pulse = Pulse()
    time.sleep(0.01)
    assert not pulse.missed(0.0)


def test_a_beat_since_the_last_look_is_enough() -> None:
    pulse = Pulse()
    for _ in range(3):
        pulse.beat()
        assert not pulse.missed(0.0)


def test_who_stopped_beating_is_missed_after_the_seconds_allowed() -> None:
    pulse = Pulse()
    pulse.beat()
    assert not pulse.missed(0.01)
    time.sleep(0.02)
    assert pulse.missed(0.01)
    assert not pulse.missed(3600)


def test_it_knows_since_when_there_is_one() -> None:
    pulse = Pulse()
    assert pulse.since() == 0
    pulse.beat()
    time.sleep(0.01)
    first = pulse.since()
    pulse.beat()
    assert pulse.since() >= first > 0
