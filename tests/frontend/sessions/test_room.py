"""Room as a frontend knows it: per team, minus requests that the backend has not yet reported."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from frontend.sessions.played import STATUS
from rowcast.errors import Overloaded
from rowcast.frontend.sessions.room import Room
from rowcast.wire import LITTLE_ROOM, TeamRoom

# One team has filled its part of the waiting line; a newcomer would find room.
CROWDED = replace(
    STATUS,
    seated=32,
    waiting=600,
    room=512,
    retry_after=3,
    team_rooms=(TeamRoom("busy", 0, 590, 9), TeamRoom("calm", 40, 10)),
)


def room(status: object = CROWDED) -> Room:
    made = Room()
    made.update(status)  # type: ignore[arg-type]  # a Status or None
    return made


def refused(made: Room, count: int, team: str, coming: int = 0) -> Overloaded | None:
    try:
        made.check(count, team, coming)
    except Overloaded as full:
        return full
    return None


def test_each_team_has_its_own_room() -> None:
    made = room()
    assert refused(made, 1, "busy")
    assert not refused(made, 40, "calm")
    assert refused(made, 41, "calm")
    assert not refused(made, 512, "new")
    assert refused(made, 513, "new")


def test_who_is_refused_hears_whose_limit_it_is_and_when_to_come_again() -> None:
    full = refused(room(), 1, "busy")
    assert full is not None
    assert full.retry_after == 9
    assert str(full) == (
        "590 prompts of your team are waiting, which is the limit while other teams wait; "
        "try again later"
    )


def test_a_team_that_waits_alone_hears_of_the_line_s_limit() -> None:
    alone = replace(CROWDED, waiting=1024, team_rooms=(TeamRoom("busy", 0, 1024, 9),))
    assert "1024 prompts are waiting, which is the limit" in str(refused(room(alone), 1, "busy"))


def test_what_was_sent_takes_the_room_of_its_own_team() -> None:
    made = room()
    made.sent([(f"{number}", 0) for number in range(40)], "calm")
    assert refused(made, 1, "calm")
    assert not refused(made, 512, "new")
    made.acknowledged(("7", 0))
    made.acknowledged(("7", 0))
    assert not refused(made, 1, "calm")
    assert refused(made, 2, "calm")


def test_who_is_about_to_ask_takes_room_too() -> None:
    assert not refused(room(), 1, "calm", coming=39)
    assert refused(room(), 1, "calm", coming=40)


def test_what_a_backend_that_ended_was_sent_takes_no_room() -> None:
    made = room()
    made.sent([("a", 0)], "calm")
    made.forget()
    made.update(CROWDED)
    assert not refused(made, 40, "calm")


@pytest.mark.parametrize("status", [None, replace(STATUS, room=LITTLE_ROOM)])
def test_while_changes_are_not_told_nobody_is_refused(status: object) -> None:
    made = room(status)
    assert not made.is_little
    assert not refused(made, 10**6, "anybody")


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("sent"), st.integers(0, 9), st.sampled_from("ab")),
            st.tuples(st.just("heard"), st.integers(0, 9), st.just("")),
        ),
        max_size=40,
    )
)
@settings(deadline=None, derandomize=True, max_examples=100)
def test_each_reply_counts_once_until_it_is_heard_of(acts: list[tuple[str, int, str]]) -> None:
    made = room(replace(STATUS, room=20))
    unheard: dict[int, str] = {}
    for act, number, team in acts:
        if act == "sent":
            made.sent([(f"{number}", 0)], team)
            unheard.setdefault(number, team)
        else:
            made.acknowledged((f"{number}", 0))
            unheard.pop(number, None)
        for each in "ab":
            left = 20 - list(unheard.values()).count(each)
            assert not refused(made, left, each)
            assert refused(made, left + 1, each)
