"""A reader wakes when something has arrived, or when it took too long."""

import threading
import time
from collections.abc import Iterator

import pytest

from processes import until
from rowcast.frontend.sessions.arrival import Arrival
from rowcast_http.alarms import Alarms

PATIENCE = 20.0


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    made = Alarms()
    yield made
    made.close()


def test_what_is_set_does_not_wait(alarms: Alarms) -> None:
    arrival = Arrival(alarms)
    arrival.set()
    assert arrival.wait()
    assert arrival.wait(PATIENCE)
    assert arrival.wait(0)
    assert not len(alarms)


def test_a_wait_ends_when_another_thread_sets_it(alarms: Alarms) -> None:
    arrival = Arrival(alarms)
    for timeout in (None, PATIENCE):
        arrival.clear()
        setting = threading.Timer(0.02, arrival.set)
        setting.start()
        assert arrival.wait(timeout)
        setting.join()


def test_a_wait_ends_when_its_time_is_over(alarms: Alarms) -> None:
    arrival = Arrival(alarms)
    for _ in range(2):
        began = time.monotonic()
        assert not arrival.wait(0.02)
        assert time.monotonic() >= began + 0.02
        arrival.clear()
    assert not arrival.wait(0)
    assert not arrival.wait(-1)


def test_a_shorter_wait_is_not_held_up_by_a_longer_one_before(alarms: Alarms) -> None:
    arrival = Arrival(alarms)
    threading.Timer(0.02, arrival.set).start()
    assert arrival.wait(3600)
    arrival.clear()
    assert not arrival.wait(0.02)


def test_waits_that_end_in_time_are_listed_once(alarms: Alarms) -> None:
    """A stream waits for each of its tokens; that must not leave a timer each."""
    arrival, ready = Arrival(alarms), threading.Semaphore(0)

    def tokens() -> None:
        for _ in range(50):
            ready.acquire(timeout=PATIENCE)
            arrival.set()

    sending = threading.Thread(target=tokens)
    sending.start()
    for _ in range(50):
        arrival.clear()
        ready.release()
        assert arrival.wait(3600)
    sending.join()
    assert len(alarms) <= 1


def test_an_alarm_for_the_wait_before_does_not_end_this_one_as_late(alarms: Alarms) -> None:
    """With real threads the alarm may ring a moment after its wait has ended."""
    arrival, results = Arrival(alarms), list[bool]()
    waits = threading.Thread(target=lambda: results.append(arrival.wait(60)), daemon=True)
    waits.start()
    until(lambda: len(alarms) == 1, "it waits")
    arrival._ring()
    waits.join(60)
    assert results == [True]
