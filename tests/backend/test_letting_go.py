"""Cancels, deadlines and lost frontends: in the waiting line, in a prompt and in decode."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from rowcast.engine.engine import Drawn, Feed
from rowcast.wire import Cancel, Finished

from .driven import Driven, Reader, RecordedEngine, submit


def busy(reply_seconds: float = 3600.0) -> tuple[Driven, Reader]:
    """A backend where one reply decodes, one is in the middle of its prompt, and one waits."""
    driven = Driven(rows=2, width=16, reply_seconds=reply_seconds)
    reader = driven.reader()
    reader.send(
        submit("decodes", b"Hello", max_tokens=100),
        submit("prefills", [65] * 300, max_tokens=100),
        submit("waits", b"Hello", max_tokens=100),
    )
    driven.step(3)
    assert (driven.seated, driven.waiting) == (2, 1)
    assert (len(reader.tokens["decodes"]), len(reader.tokens["prefills"])) == (3, 0)
    return driven, reader


@pytest.mark.parametrize(("who", "length"), [("decodes", 3), ("prefills", 0), ("waits", 0)])
def test_a_cancel_ends_a_reply_in_every_phase(who: str, length: int) -> None:
    driven, reader = busy()
    reader.cancel(who)
    driven.step()
    assert reader.ends[who] == Finished(who, 0, length, "cancelled")


@pytest.mark.parametrize("who", ["decodes", "prefills"])
def test_a_cancelled_row_goes_to_who_waits(who: str) -> None:
    driven, reader = busy()
    reader.cancel(who)
    driven.step()
    assert (driven.seated, driven.waiting) == (2, 0)
    driven.finish()
    assert reader.reason("waits") == "length"


def test_a_cancelled_reply_is_fed_no_more() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", max_tokens=100))
    driven.step()
    reader.cancel("a")
    driven.step(2)
    assert len(driven.engine.steps) == 1


def test_a_prompt_cancelled_before_it_was_looked_at_ends_once() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a"), Cancel("a", 0))
    driven.step()
    assert (reader.reason("a"), driven.engine.steps) == ("cancelled", [])


@pytest.mark.parametrize("who", ["never heard of", "decodes"])
def test_a_cancel_that_comes_too_late_changes_nothing(who: str) -> None:
    driven, reader = busy()
    driven.finish()
    ends = dict(reader.ends)
    reader.cancel(who)
    driven.step()
    assert reader.ends == ends


def test_nobody_cancels_for_another_frontend() -> None:
    driven, reader = busy()
    driven.reader().cancel("decodes")
    driven.finish()
    assert reader.reason("decodes") == "length"


def test_a_row_survives_its_predecessor_s_cancel() -> None:
    driven = Driven(rows=1, width=64)
    reader = driven.reader()
    reader.send(submit("old", max_tokens=2), submit("new", max_tokens=5))
    driven.step(3)
    reader.cancel("old")
    driven.finish()
    assert (reader.reason("old"), reader.reason("new")) == ("length", "length")


@pytest.mark.parametrize("who", ["decodes", "prefills", "waits"])
def test_a_vanished_frontend_s_replies_are_let_go_and_others_go_on(who: str) -> None:
    driven = Driven(rows=2, width=16)
    leaving, staying = driven.reader(), driven.reader()
    prompts = {
        "decodes": submit("decodes", b"Hello", max_tokens=40),
        "prefills": submit("prefills", [65] * 300, max_tokens=40),
        "waits": submit("waits", b"Hello", max_tokens=40),
    }
    for name, prompt in prompts.items():
        (leaving if name == who else staying).send(prompt)
        driven.step()
    leaving.port.close()
    driven.readers.remove(leaving)
    driven.step()
    assert (driven.seated, driven.waiting) == (2, 0)
    driven.finish()
    assert sorted(staying.ends) == sorted(set(prompts) - {who})
    assert {end.reason for end in staying.ends.values()} == {"length"}


def test_a_frontend_that_submits_and_vanishes_takes_no_row() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*(submit(f"{n}") for n in range(50)))
    reader.port.close()
    driven.readers.clear()
    driven.step()
    assert (driven.seated, driven.waiting, driven.engine.steps) == (0, 0, [])


def test_a_reply_that_takes_too_long_ends_in_every_phase() -> None:
    driven, reader = busy(reply_seconds=60.0)
    driven.pass_time(61.0)
    driven.step()
    ends = {who: (end.length, end.reason) for who, end in reader.ends.items()}
    assert ends == {"decodes": (3, "error"), "prefills": (0, "error"), "waits": (0, "error")}
    assert all("time limit" in end.message for end in reader.ends.values())


def test_a_reply_takes_no_longer_than_the_backend_allows() -> None:
    driven = Driven(reply_seconds=0.0)
    reader = driven.reader()
    reader.send(submit("a", max_tokens=4000))
    driven.step(1)
    assert (reader.reason("a"), driven.engine.steps) == ("error", [])


def test_an_expired_row_is_free_for_the_next() -> None:
    driven = Driven(rows=1, width=64, reply_seconds=60.0)
    reader = driven.reader()
    reader.send(submit("late", max_tokens=100))
    driven.step(2)
    driven.pass_time(61.0)
    reader.send(submit("next", max_tokens=2))
    driven.finish()
    assert (reader.reason("late"), reader.reason("next")) == ("error", "length")


class StumblingEngine(RecordedEngine):
    """Reports a problem for row 0 in the third step."""

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        drawn = super().step(feeds)
        stumbles = len(self.steps) == 3
        return [
            replace(each, problem="the numbers are not finite")
            if stumbles and not each.row
            else each
            for each in drawn
        ]


def test_a_row_that_the_engine_gives_up_ends_alone_and_says_why() -> None:
    driven = Driven(engine=StumblingEngine())
    reader = driven.reader()
    reader.send(submit("stumbles", max_tokens=9), submit("goes on", max_tokens=9))
    driven.finish()
    assert reader.ends == {
        "stumbles": Finished("stumbles", 0, 3, "error", "the numbers are not finite"),
        "goes on": Finished("goes on", 0, 9, "length"),
    }
