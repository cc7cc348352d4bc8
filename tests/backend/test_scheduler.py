"""How a step's width is divided, and which reply is seated next."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.backend.line import WaitingLine
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.backend.scheduler import MANY, admit, grant

from .driven import submit


def reply(name: str, *, length: int = 5, fed: int = 0, row: int = 0, team: str = "") -> Reply:
    prompt = submit(name, range(length), team=team)
    made = Reply(1, prompt, limit=9, expires=0, accepted=0, row=row)
    made.fed = fed
    return made


def decoding(row: int) -> Reply:
    return reply(f"decoding {row}", length=6, fed=5, row=row)


def test_who_decodes_is_granted_one_token_that_draws() -> None:
    (feed,) = grant([decoding(3)], 8, 8)
    assert (feed.row, feed.position, list(feed.tokens), feed.draws) == (3, 5, [5], True)


def test_a_prompt_that_fits_is_fed_whole_and_draws() -> None:
    (feed,) = grant([reply("a", length=5)], 8, 8)
    assert (feed.position, list(feed.tokens), feed.draws) == (0, [0, 1, 2, 3, 4], True)


def test_a_prompt_that_does_not_fit_takes_a_part_and_draws_nothing() -> None:
    (feed,) = grant([reply("a", length=20)], 8, 8)
    assert (list(feed.tokens), feed.draws) == (list(range(8)), False)


def test_a_prompt_goes_on_where_it_stopped() -> None:
    (feed,) = grant([reply("a", length=20, fed=16)], 8, 8)
    assert (feed.position, list(feed.tokens), feed.draws) == (16, [16, 17, 18, 19], True)


def test_decode_comes_before_a_prompt_that_was_seated_earlier() -> None:
    feeds = grant([reply("long", length=50, row=0), decoding(1), decoding(2)], 8, 8)
    assert {feed.row: len(feed.tokens) for feed in feeds} == {1: 1, 2: 1, 0: 6}


def test_prompts_take_the_rest_in_the_order_of_their_seating() -> None:
    prompts = [reply(f"{row}", length=6, row=row) for row in (2, 0, 1)]
    feeds = grant(prompts, 9, 9)
    assert [(feed.row, len(feed.tokens)) for feed in feeds] == [(2, 6), (0, 3)]


def test_half_of_the_rest_is_the_oldest_prompts_and_the_shortest_come_next() -> None:
    prompts = [reply("old", length=60, row=0), *(reply(f"{n}", length=n, row=n) for n in (9, 3, 4))]
    feeds = grant(prompts, 16, 16)
    assert {feed.row: len(feed.tokens) for feed in feeds} == {0: 8, 3: 3, 4: 4, 9: 1}


def test_teams_have_equal_parts_of_a_step_whatever_the_number_of_their_prompts() -> None:
    prompts = [reply(f"{row}", length=50, row=row, team="many") for row in range(6)]
    feeds = grant([*prompts, reply("one", length=60, row=6, team="few")], 32, 32)
    fed = {feed.row: len(feed.tokens) for feed in feeds}
    assert fed == {0: 16, 6: 16}


def test_what_a_team_does_not_need_is_for_the_others() -> None:
    prompts = [reply("long", length=50, row=0, team="a"), reply("short", length=3, row=1, team="b")]
    fed = {feed.row: len(feed.tokens) for feed in grant(prompts, 32, 32)}
    assert fed == {0: 29, 1: 3}


def test_the_team_of_the_oldest_prompt_is_fed_in_a_step_with_less_room_than_teams() -> None:
    prompts = [reply(f"{row}", length=50, row=row, team=f"{row}") for row in (2, 0, 1)]
    fed = {feed.row: len(feed.tokens) for feed in grant(prompts, 2, 2)}
    assert fed == {2: 1, 0: 1}


def test_while_many_rows_decode_a_prompt_gets_what_the_shared_width_leaves() -> None:
    feeds = grant([*(decoding(row) for row in range(8)), reply("late", length=50, row=8)], 32, 11)
    assert {feed.row: len(feed.tokens) for feed in feeds} == dict.fromkeys(range(8), 1) | {8: 3}


def test_while_several_rows_have_prompts_the_whole_width_is_theirs() -> None:
    prompts = [reply(f"{row}", length=50, row=row) for row in (8, 9)]
    feeds = grant([*(decoding(row) for row in range(8)), *prompts], 32, 11)
    assert sum(len(feed.tokens) for feed in feeds) == 32


def test_a_step_full_of_decoding_rows_leaves_nothing_for_prompts() -> None:
    feeds = grant([*(decoding(row) for row in range(4)), reply("late", row=4)], 4, 4)
    assert sorted(feed.row for feed in feeds) == [0, 1, 2, 3]


def test_nobody_seated_nobody_fed() -> None:
    assert grant([], 8, 8) == []


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 39), st.sampled_from("abc")), max_size=32
    ),
    st.integers(32, 64),
    st.integers(32, 64),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_every_step_is_within_its_width_and_starves_no_decode(
    sizes: list[tuple[int, int, str]], width: int, shared: int
) -> None:
    replies = [
        reply(f"{row}", length=length, fed=min(fed, length - 1), row=row, team=team)
        for row, (length, fed, team) in enumerate(sizes)
    ]
    feeds = {feed.row: feed for feed in grant(replies, width, min(shared, width))}
    used = sum(len(feed.tokens) for feed in feeds.values())
    decoding = sum(each.lacks == 1 for each in replies)
    most = min(shared, width) if decoding > MANY * (len(replies) - decoding) else width
    assert used <= most
    assert all(each.row in feeds for each in replies if each.lacks == 1)
    assert used == min(most, sum(each.lacks for each in replies))
    prompts = [each for each in replies if each.lacks > 1]
    teams = {each.team for each in prompts}
    for team in teams:
        mine = [each for each in prompts if each.team == team]
        got = sum(len(feeds[each.row].tokens) for each in mine if each.row in feeds)
        part = (most - decoding) // len(teams)
        assert got >= min(part, sum(each.lacks for each in mine)) - 1
    for each in replies:
        if feed := feeds.get(each.row):
            assert list(feed.tokens) == each.tokens[each.fed : each.fed + len(feed.tokens)]
            assert feed.draws == (len(feed.tokens) == each.lacks)


def test_the_first_in_the_line_is_seated_first() -> None:
    line, rows = WaitingLine(9), Rows(2)
    for name in "abc":
        line.join(reply(name))
    assert [each.submit.session for each in admit(line, rows)] == ["a", "b"]
    assert (len(line), rows.free) == (1, 0)


def test_nobody_is_seated_without_a_free_row() -> None:
    line, rows = WaitingLine(9), Rows(1)
    rows.seat(reply("sits"))
    line.join(reply("waits"))
    assert admit(line, rows) == []
    assert line.find((1, ("waits", 0)))


def test_who_leaves_the_line_is_not_seated() -> None:
    line = WaitingLine(9)
    waiting = reply("a")
    line.join(waiting)
    assert line.find(waiting.id) is waiting
    line.leave(waiting)
    assert line.find(waiting.id) is None
    assert not line.of(waiting.group)
    assert admit(line, Rows(1)) == []
