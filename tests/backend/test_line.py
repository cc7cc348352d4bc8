"""The waiting line: how much room each team finds in it, and in what order teams are seated.

Covers `backend/turns`.
"""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rowcast.backend.line import NAMED_TEAMS, WaitingLine
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.backend.scheduler import admit
from rowcast.wire import LITTLE_ROOM, Limited

from .driven import submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=200)
NAMES = itertools.count()


def reply(team: str = "", session: str = "", choice: int = 0) -> Reply:
    """Return one more reply, of a new session unless one is named."""
    named = session or f"{next(NAMES)}"
    prompt = submit(named, team=team, choice=choice)
    return Reply(1, prompt, limit=9, expires=0, accepted=0)


def line_of(limit: int, **waiting: int) -> WaitingLine:
    """Return a waiting line with this many replies per team, in this order."""
    line = WaitingLine(limit)
    for team, count in waiting.items():
        for _ in range(count):
            line.join(reply(team))
    return line


def test_the_line_counts_free_rows_as_room() -> None:
    line = WaitingLine(1)
    assert line.room(free_rows=0) == 1
    line.join(reply())
    assert line.room(free_rows=0) == 0
    assert line.room(free_rows=1) == 1


def test_choices_need_as_many_places() -> None:
    line = WaitingLine(2)
    line.join(reply())
    assert line.room(free_rows=2) == 3


def test_a_line_of_no_places_still_fills_free_rows() -> None:
    line = WaitingLine(0)
    assert line.room(free_rows=0) == 0
    assert line.room(free_rows=1) == 1
    line.join(reply("a"))
    assert line.room(free_rows=1, team="b") == 0


def test_a_team_alone_may_fill_the_line() -> None:
    assert line_of(8).room(0, "a") == 8
    assert line_of(8, a=5).room(0, "a") == 3
    assert line_of(8, a=8).room(0, "a") == 0


def test_while_others_wait_a_team_may_hold_half_of_the_line() -> None:
    assert line_of(8, b=1).room(0, "a") == 4
    assert line_of(8, b=1, a=3).room(0, "a") == 1
    assert line_of(8, b=1, a=7).room(0, "a") == 0


def test_a_newcomer_finds_room_in_a_line_that_another_team_has_filled() -> None:
    line = line_of(8, a=8)
    assert line.newcomer_room(0) == line.room(0, "b") == 4


def test_each_further_newcomer_finds_half_of_what_is_left_of_twice_the_line() -> None:
    assert line_of(8, a=8, b=4).newcomer_room(0) == 2
    assert line_of(8, a=8, b=4, c=2).newcomer_room(0) == 1
    assert line_of(8, a=8, b=4, c=2, d=1, e=1).newcomer_room(0) == 0


def test_teams_with_little_room_are_named() -> None:
    line = line_of(1000, a=460, b=1)
    assert [(each.team, each.room, each.waiting) for each in line.team_rooms(0)] == [
        ("a", 1000 // 2 - 460, 460)
    ]


def test_a_team_alone_is_named_since_it_has_more_room_than_a_newcomer() -> None:
    assert [(each.team, each.room) for each in line_of(100, a=1).team_rooms(0)] == [("a", 99)]


def test_of_many_teams_those_with_the_least_room_are_named() -> None:
    line = line_of(100, **{f"t{number}": 1 for number in range(40)}, a=30)
    rooms = line.team_rooms(0)
    assert len(rooms) == NAMED_TEAMS
    assert rooms[0].team == "a"
    assert all(each.room < LITTLE_ROOM for each in rooms)


JOINS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9)), max_size=60)


@pytest.mark.slow
@given(JOINS, st.integers(0, 20), st.integers(0, 6))
@BOUNDED
def test_the_line_never_holds_more_than_its_bounds(
    joins: list[tuple[str, int]], limit: int, free: int
) -> None:
    line = WaitingLine(limit)
    for team, count in joins:
        others = len(line) - len(line.of_team(team))
        if count <= line.room(free, team):
            for _ in range(count):
                line.join(reply(team))
            mine = len(line.of_team(team))
            assert len(line) <= 2 * limit + free
            assert mine <= limit + free
            assert others <= free or mine <= (limit + 1) // 2
        assert line.room(free, team) >= 0
    if len(line) < 2 * limit + free:
        assert line.newcomer_room(free) > 0 or limit == 0, (
            "a newcomer finds room while there is any"
        )


def seated_teams(line: WaitingLine, rows: Rows) -> str:
    return "".join(each.team for each in admit(line, rows))


def test_teams_are_seated_in_turn() -> None:
    assert seated_teams(line_of(99, a=9, b=2, c=1), Rows(8)) == "abcabaaa"


def test_a_freed_row_goes_to_the_team_that_has_the_fewest() -> None:
    rows = Rows(4)
    assert seated_teams(line_of(99, a=4), rows) == "aaaa"
    line = line_of(99, a=9, b=3)
    for expected in "bba":
        rows.evict(next(iter(rows.of_team("a"))))
        assert seated_teams(line, rows) == expected


def test_within_a_team_who_came_first_is_seated_first() -> None:
    line, rows = WaitingLine(9), Rows(3)
    replies = [reply("a") for _ in range(3)]
    for each in replies:
        line.join(each)
    assert admit(line, rows) == replies


def test_one_session_has_less_than_half_of_the_rows_while_others_wait() -> None:
    line, rows = WaitingLine(99), Rows(4)
    for choice in range(6):
        line.join(reply("a", "wide", choice))
    line.join(reply("a"))
    seated = [each.submit.session for each in admit(line, rows)]
    assert seated[:2] == ["wide", "wide"]
    assert seated[2] != "wide"
    assert seated[3] == "wide"


def limited(dyn_batch: int, team: str = "a", session: str = "") -> Reply:
    """Return a reply that may share its steps with this many of its team's, itself included."""
    waiting = reply(team, session)
    waiting.submit = Limited(**structs.asdict(waiting.submit), dyn_batch=dyn_batch)
    return waiting


def test_at_most_dyn_batch_replies_of_a_team_are_seated_at_once() -> None:
    line, rows = WaitingLine(99), Rows(8)
    for _ in range(5):
        line.join(limited(2))
    line.join(reply("a"))
    line.join(limited(2, team="b"))
    seated = admit(line, rows)
    assert [(each.team, each.dyn_batch) for each in seated] == [
        *(("a", 2), ("b", 2), ("a", 2), ("a", 0))
    ]
    rows.evict(seated[0])
    assert [each.dyn_batch for each in admit(line, rows)] == [2]
    assert admit(line, rows) == []


def test_a_reply_that_waits_for_its_dyn_batch_is_not_passed_by_others_with_one() -> None:
    line, rows = WaitingLine(99), Rows(8)
    for dyn_batch in (8, 8, 1, 8):
        line.join(limited(dyn_batch))
    first, second = admit(line, rows)
    rows.evict(first)
    assert admit(line, rows) == []
    rows.evict(second)
    assert [each.dyn_batch for each in admit(line, rows)] == [1]


def test_a_search_that_is_wider_than_its_dyn_batch_is_seated_alone() -> None:
    line, rows = WaitingLine(99), Rows(8)
    search = limited(2)
    search.beams = 4
    line.join(limited(9))
    line.join(search)
    (first,) = admit(line, rows)
    assert line.fitting(rows, rows.count) is None
    rows.evict(first)
    assert line.fitting(rows, rows.count) is search


def test_a_team_that_comes_back_waits_for_its_turn_again() -> None:
    """Teams with very short replies do not overtake a team that waits."""
    line, rows = line_of(99, a=1, b=1, c=3), Rows(1)
    order = ""
    for _ in range(5):
        order += seated_teams(line, rows)
        (seated,) = rows
        rows.evict(seated)
        if seated.team in "ab":
            line.join(reply(seated.team))
    assert order == "abcab"


ACTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcdefg"), st.integers(1, 5)),  # this many join
        st.tuples(st.just(""), st.integers(0, 3)),  # one row is freed
    ),
    max_size=80,
)


@pytest.mark.slow
@given(ACTS, st.integers(1, 4))
@BOUNDED
def test_a_team_without_a_row_is_seated_after_at_most_one_of_each_other_waiting_team(
    acts: list[tuple[str, int]], count: int
) -> None:
    line, rows = WaitingLine(1000), Rows(count)
    ahead: dict[str, int] = {}  # for each team without a row: how many may be seated before it
    for team, number in acts:
        if team:
            for _ in range(number):
                line.join(reply(team))
        elif len(rows):
            rows.evict(list(rows)[number % len(rows)])
        for waiting, _ in line.team_counts():
            if not rows.of_team(waiting):
                ahead.setdefault(waiting, line.teams - 1)
        for seated in admit(line, rows):
            ahead.pop(seated.team, None)
            ahead = {other: left - 1 for other, left in ahead.items()}
            assert min(ahead.values(), default=0) >= 0


@pytest.mark.slow
@given(ACTS, st.integers(1, 8))
@BOUNDED
def test_a_row_goes_to_a_waiting_team_that_has_the_fewest(
    acts: list[tuple[str, int]], count: int
) -> None:
    line, rows = WaitingLine(1000), Rows(count)
    for team, number in acts:
        if team:
            for _ in range(number):
                line.join(reply(team))
        elif len(rows):
            rows.evict(list(rows)[number % len(rows)])
        while rows.free and len(line):
            had = {name: len(rows.of_team(name)) for name, _ in line.team_counts()}
            following = line.fitting(rows, rows.count)
            assert following is not None
            assert had[following.team] == min(had.values())
            line.seat(following, rows)
