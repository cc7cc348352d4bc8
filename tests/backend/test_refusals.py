"""Prompts that the backend refuses: too long, too many, too late.

Covers `prompt_check`, `admission`.
"""

import pytest

from engine.rule import reply as expected
from rowcast.wire import Cancel, Finished, Status

from .driven import Driven, submit


def full(waiting: int) -> Driven:
    """A backend with two seated rows and a full waiting line; prompts are named by numbers."""
    driven = Driven(rows=2, width=64, waiting=waiting)
    reader = driven.reader()
    reader.send(*(submit(f"{n}", max_tokens=50) for n in range(2)))
    driven.step()
    reader.send(*(submit(f"{n}", max_tokens=50) for n in range(2, 2 + waiting)))
    driven.step()
    assert (driven.seated, driven.waiting, reader.rejected) == (2, waiting, {})
    return driven


@pytest.mark.parametrize("waiting", [0, 1, 5])
def test_a_full_line_refuses_the_next_prompt_at_once(waiting: int) -> None:
    driven = full(waiting)
    reader = driven.readers[0]
    reader.send(submit("late"))
    driven.step()
    assert reader.rejected["late"].reason == "overloaded"
    assert 1 <= reader.rejected["late"].retry_after <= 60


def rooms(status: Status) -> dict[str, int]:
    """Return how many prompts each named team may add."""
    return {each.team: each.room for each in status.team_rooms}


def test_frontends_hear_at_once_how_little_room_is_left() -> None:
    driven = Driven(rows=2, width=64, waiting=3)
    reader = driven.reader()
    driven.step()
    for count in range(5):
        reader.send(submit(f"{count}", max_tokens=50, team="a"))
        driven.step()
    told = [(status.room, rooms(status)) for status in reader.statuses]
    assert told[-5:] == [(3, {"a": 3}), (3, {}), (2, {"a": 2}), (2, {"a": 1}), (2, {"a": 0})]
    assert reader.statuses[-1].retry_after >= 1
    assert reader.statuses[-1].team_rooms[0].retry_after >= 1
    reader.send(Cancel("4", 0))
    driven.step()
    assert rooms(reader.statuses[-1]) == {"a": 1}


def test_where_there_is_much_room_its_changes_are_not_told() -> None:
    driven = Driven(rows=2, width=64, waiting=500)
    reader = driven.reader()
    driven.step()
    before = len(reader.statuses)
    for count in range(5):
        reader.send(submit(f"{count}", max_tokens=50))
        driven.step()
    assert len(reader.statuses) <= before + 1  # one may be due


def test_the_line_takes_as_many_at_once_as_rows_and_places_are_free() -> None:
    driven = Driven(rows=2, width=64, waiting=3)
    reader = driven.reader()
    reader.send(*(submit(f"{n}") for n in range(6)))
    driven.step()
    assert sorted(reader.accepted) == ["0", "1", "2", "3", "4"]
    assert list(reader.rejected) == ["5"]


def test_a_refused_prompt_leaves_no_trace() -> None:
    driven = full(1)
    reader = driven.readers[0]
    reader.send(submit("late"))
    driven.finish()
    assert "late" not in reader.ends
    assert len(reader.ends) == 3


def test_the_line_takes_prompts_again_when_it_has_moved_on() -> None:
    driven = full(1)
    reader = driven.readers[0]
    reader.cancel("0")
    driven.step()
    reader.send(submit("late"))
    driven.step()
    assert "late" in reader.accepted


def test_the_advice_grows_with_the_line() -> None:
    advised = []
    for waiting in (0, 20):
        driven = full(waiting)
        driven.readers[0].send(submit("late"))
        driven.step()
        advised.append(driven.readers[0].rejected["late"].retry_after)
    assert advised[0] < advised[1]


def test_what_another_backend_had_accepted_is_never_overload() -> None:
    driven = full(0)
    reader = driven.readers[0]
    reader.send(submit("recovered", delivered=()))
    driven.finish()
    assert reader.reason("recovered") == "length"


@pytest.mark.parametrize("length", [100, 101, 5000])
def test_a_prompt_that_leaves_no_room_is_too_long(length: int) -> None:
    driven = Driven(context_length=100)
    reader = driven.reader()
    reader.send(submit("long", [1] * length))
    driven.step()
    rejected = reader.rejected["long"]
    assert rejected.reason == "too_long"
    assert f"{length} tokens" in rejected.message
    assert "holds 100" in rejected.message


def test_a_prompt_that_leaves_room_for_one_token_gets_one() -> None:
    driven = Driven(context_length=100)
    reader = driven.reader()
    reader.send(submit("tight", [1] * 99, max_tokens=50))
    driven.finish()
    assert reader.ends["tight"] == Finished("tight", 0, 1, "length")


def test_a_reply_never_outgrows_the_context() -> None:
    driven = Driven(context_length=30)
    reader = driven.reader()
    reader.send(submit("a", b"0123456789", max_tokens=2048))
    driven.finish()
    assert reader.ends["a"] == Finished("a", 0, 20, "length")
    assert tuple(reader.tokens["a"]) == expected(b"0123456789", 1, 20, ignore_eos=True)[0]


def test_too_long_is_said_even_when_the_line_is_full() -> None:
    driven = full(0)
    reader = driven.readers[0]
    reader.send(submit("long", [1] * 5000))
    driven.step()
    assert reader.rejected["long"].reason == "too_long"


def test_a_stopping_backend_refuses_what_is_new() -> None:
    driven = full(1)
    reader = driven.readers[0]
    driven.backend.stop()
    reader.send(submit("new"))
    driven.step()
    assert reader.rejected["new"].reason == "stopping"


def test_a_stopping_backend_says_so_at_once() -> None:
    driven = full(0)
    driven.backend.stop()
    driven.step()
    assert driven.readers[0].statuses[-1].stopping


def test_a_stopping_backend_finishes_what_it_accepted_and_ends() -> None:
    driven = full(3)
    reader = driven.readers[0]
    driven.backend.stop()
    driven.backend.run()
    reader.read_to_the_end()
    assert {reader.reason(f"{n}") for n in range(5)} == {"length"}
    assert all(len(reader.tokens[f"{n}"]) == 50 for n in range(5))


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_prompt_that_is_sent_twice_is_answered_once(steps: int) -> None:
    driven = Driven(rows=2, width=16)
    reader = driven.reader()
    prompts = [submit("seated"), submit("prefills", [65] * 50), submit("waits")]
    reader.send(*prompts)
    driven.step(steps)
    reader.send(*prompts)
    driven.finish()
    for prompt in prompts:
        wanted, reason = expected(prompt.prompt, 1, 8, ignore_eos=True)
        assert tuple(reader.tokens[prompt.session]) == wanted
        assert reader.reason(prompt.session) == reason
