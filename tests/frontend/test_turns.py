"""Long work yields to other requests, and stalls of the event loop are logged.

Covers `pauses`, `frontend/request/sizes`.
"""

import threading
import time

import pytest

from processes import until
from rowcast.errors import MalformedRequest
from rowcast.frontend.listening.pauses import Pauses
from rowcast.frontend.request.sizes import check_size
from rowcast.frontend.turns import PART_SECONDS, Turnstile, in_parts, in_turns
from rowcast.sampling_params import SamplingParams
from rowcast.wire import Submit


def test_all_items_come_in_their_order_and_others_run_between() -> None:
    turns: list[float] = []

    def note() -> None:
        turns.append(time.monotonic())

    worked = []
    for item in in_turns(range(4)):
        worked.append(item)
        time.sleep(PART_SECONDS * 1.5)
        threading.Thread(target=note).start()
    until(lambda: len(turns) == 4, "all notes")
    assert worked == [0, 1, 2, 3]


def test_a_thread_of_the_process_does_not_wait_for_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One waits for every request before it; others wait for what the thread does."""
    monkeypatch.setattr("rowcast.frontend.turns.PART_SECONDS", -1.0)
    paused: list[str] = []
    monkeypatch.setattr(Turnstile, "rest", lambda _: paused.append("behind the requests"))
    assert list(in_parts(range(2), lambda: paused.append("beside them"))) == [0, 1]
    assert paused == ["beside them"] * 2
    assert list(in_parts(range(2))) == [0, 1]
    assert paused == ["beside them"] * 2


class Held(Turnstile):
    """A turnstile whose rests end when the test says so; a rest may also end with an error."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []

    def start(self, name: str) -> threading.Thread:
        thread = threading.Thread(target=self._pass, args=(name,))
        thread.start()
        return thread

    def _pass(self, name: str) -> None:
        self.rest()
        self.passed.append(name)

    def queued(self, count: int) -> None:
        until(lambda: len(self._waiting) == count, f"{count} that wait")


def test_requests_with_long_work_pass_one_at_a_time_and_in_order() -> None:
    turnstile = Held()
    turnstile._enter()  # another request rests
    threads = []
    for at, name in enumerate("abc", 1):
        threads.append(turnstile.start(name))
        turnstile.queued(at)
    assert turnstile.passed == []
    turnstile._leave()
    for thread in threads:
        thread.join(10)
    assert turnstile.passed == ["a", "b", "c"]
    turnstile.rest()  # nobody holds it now


def test_a_request_that_ends_while_it_waits_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turnstile = Held()
    turnstile._enter()

    def ended(event: threading.Event) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", ended)
        with pytest.raises(KeyboardInterrupt):
            turnstile.rest()

    def ended_too_late(event: threading.Event) -> None:
        turnstile._leave()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", ended_too_late)
        with pytest.raises(KeyboardInterrupt):
            turnstile.rest()
    turnstile.rest()


def test_the_longest_pause_of_the_last_minute_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pauses = Pauses()
    assert pauses.longest() == 0.0
    for at, seconds in ((1.0, 0.3), (2.0, 0.7), (30.0, 0.2), (40.0, 0.4)):
        clock[0] = 1000.0 + at
        pauses.note(seconds)
    assert pauses.longest() == 0.7
    clock[0] = 1063.0
    assert pauses.longest() == 0.4
    clock[0] = 1200.0
    assert pauses.longest() == 0.0


def test_each_measurement_is_reported() -> None:
    seen: list[float] = []
    pauses = Pauses()
    pauses.on_tick = seen.append
    pauses.start()
    until(lambda: len(seen) >= 2, "two measurements")
    pauses.close()
    assert all(each >= 0 for each in seen)


def test_a_long_pause_is_logged_and_a_short_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    pauses = Pauses()
    pauses.note(0.05)
    assert not caplog.records
    pauses.note(0.25)
    (record,) = caplog.records
    assert record.getMessage() == "event_loop paused_ms=250"


def test_replies_that_are_too_large_together_are_refused() -> None:
    params = SamplingParams(max_tokens=1)

    def asked(tokens: int, prompts: int) -> list[list[Submit]]:
        prompt = (70_000,) * tokens
        return [[Submit("s", at, prompt, params, seed=1) for at in range(8)]] * prompts

    check_size(asked(10_000, 128))
    with pytest.raises(
        MalformedRequest, match=r"1024 replies .* are 61 MiB together; the limit is 16"
    ):
        check_size(asked(100_000, 128))
