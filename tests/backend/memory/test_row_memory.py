"""Replies are seated by the tokens that they commit to; rows give back what they do not need."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.driven import Driven, RecordedEngine, choices, named, submit
from rowcast.backend.line import WaitingLine
from rowcast.backend.memory.row_memory import GRACE_SECONDS, SPARE, RowMemory
from rowcast.backend.placement import LastFreed
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.backend.scheduler import admit
from rowcast.engine.engine import CacheMemory
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.wire import Submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=150)
NAMES = itertools.count()
LARGE = 64 << 10  # bytes of a token


def reply(prompt: int, limit: int, team: str = "", beams: int = 0) -> Reply:
    named = submit(f"{next(NAMES)}", range(prompt), max_tokens=limit, team=team, beams=beams)
    return Reply(1, named, limit=limit, expires=0, accepted=0)


@dataclass
class Remembering(LastFreed):
    """Rows that remember a number of tokens."""

    remembered: dict[int, int] = field(default_factory=dict)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.remembered = {}

    def held(self, row: int) -> int:
        return self.remembered.get(row, 0)

    def forget(self, row: int, length: int) -> None:
        self.remembered[row] = length


class Stand:
    """Rows with a memory whose trims are recorded, and a clock that the test moves."""

    def __init__(
        self, tokens: int, *, count: int = 4, token_bytes: int = LARGE, grain: int = 1
    ) -> None:
        self.now = 100.0
        self.trims: list[tuple[int, int]] = []
        self.placement = Remembering(count)
        cache = CacheMemory(tokens, token_bytes, grain)
        self.memory = RowMemory(
            count, self.placement, cache, self._trim, least_per_step=8, clock=lambda: self.now
        )
        self.rows = Rows(count, self.placement, self.memory)
        self.line = WaitingLine(1000)

    def _trim(self, row: int, length: int) -> None:
        self.trims.append((row, length))

    @property
    def size(self) -> int:
        """The tokens that rows may have memory for, now or later."""
        return sum(max(row.used, row.committed) for row in self.memory._rows)

    def join(self, *replies: Reply) -> None:
        for each in replies:
            self.line.join(each)

    def admit(self) -> list[Reply]:
        return admit(self.line, self.rows)

    def end(self, ended: Reply, fed: int) -> None:
        ended.fed = fed
        self.rows.evict(ended)

    def tidy(self, seconds: float = 0.0) -> list[tuple[int, int]]:
        """Move the clock, and return what is given back in one step."""
        self.now += seconds
        self.trims.clear()
        self.memory.tidy()
        return list(self.trims)


# Seating


def test_a_reply_commits_to_its_prompt_and_to_all_that_it_may_have() -> None:
    stand = Stand(100, grain=8)
    stand.join(reply(5, 20))
    (seated,) = stand.admit()
    assert stand.memory.committed == 32, "25 tokens, in whole grains"
    stand.end(seated, 7)
    assert stand.memory.committed == 0


def test_a_reply_waits_until_its_tokens_fit() -> None:
    stand = Stand(100)
    first, second, third = reply(10, 50), reply(10, 50), reply(10, 30)
    stand.join(first, second)
    assert stand.admit() == [first]
    assert stand.admit() == []
    stand.end(first, 12)
    stand.join(third)
    assert stand.admit() == [second, third]


def test_one_that_does_not_delay_it_passes_the_reply_whose_turn_it_is() -> None:
    stand = Stand(100)
    seated, large = reply(10, 50), reply(10, 80)
    stand.join(seated)
    stand.admit()
    beside, short, long = reply(5, 5), reply(5, 20), reply(5, 60)
    stand.join(large, long, beside, short)
    # The large one fits when the seated one has ended, after 60 steps, and leaves 10 tokens beside
    # it. `beside` takes these; `long` would run on; `short` ends before.
    assert stand.admit() == [beside, short]
    for each in (seated, beside, short):
        stand.end(each, 1)
    assert stand.admit() == [large]


def test_choices_that_do_not_delay_it_pass_even_if_their_session_has_half_of_the_rows() -> None:
    stand = Stand(100)
    same = [
        Reply(1, submit("same", range(5), choice=at), limit=5, expires=0, accepted=0)
        for at in range(24)
    ]
    stand.join(*same[:2])
    stand.admit()
    stand.join(reply(10, 80), *same[2:])
    assert stand.admit() == same[2:4]


def test_a_search_commits_to_all_its_beams() -> None:
    stand = Stand(100)
    search, other = reply(10, 10, beams=3), reply(10, 40)
    stand.join(search, other)
    assert [each.beams for each in stand.admit()] == [3, 3, 3]
    assert stand.memory.committed == 60
    assert stand.rows.find(other.id) is None


def test_a_reply_that_can_never_fit_is_seated_alone_if_another_backend_accepted_it() -> None:
    stand = Stand(100)
    small, large = reply(10, 10), reply(10, 5000)
    stand.join(small)
    stand.admit()
    stand.join(large)
    assert stand.admit() == []
    stand.end(small, 10)
    assert stand.admit() == [large]


def test_free_rows_are_room_only_as_far_as_there_is_memory() -> None:
    stand = Stand(100)
    assert stand.rows.usable == 4
    stand.join(reply(10, 30))
    stand.admit()
    assert (stand.rows.free, stand.rows.usable) == (3, 1)
    whole = Stand(4 * 40)
    whole.join(reply(10, 30))
    whole.admit()
    assert whole.rows.usable == whole.rows.free == 3


# What is given back


def test_what_usual_replies_need_again_is_never_given_back() -> None:
    stand = Stand(4000)
    spare = SPARE // LARGE
    stand.join(reply(spare, spare))
    (ended,) = stand.admit()
    stand.end(ended, spare)
    assert stand.tidy(10 * GRACE_SECONDS) == []


def test_more_is_given_back_once_the_row_has_not_been_used_for_a_while() -> None:
    stand = Stand(4000)
    spare = SPARE // LARGE
    stand.join(reply(100, 100))
    (ended,) = stand.admit()
    stand.end(ended, 150)
    assert stand.tidy(GRACE_SECONDS / 2) == []
    assert stand.tidy(GRACE_SECONDS) == [(ended.row, spare)]
    assert stand.tidy(GRACE_SECONDS) == []


def test_memory_of_tokens_that_were_discarded_is_given_back_too() -> None:
    stand = Stand(4000)
    stand.join(reply(100, 100))
    (failed,) = stand.admit()
    failed.fed = 150
    stand.rows.discard(failed)
    assert failed.fed == 0
    stand.rows.evict(failed)
    assert stand.size == 150
    assert stand.tidy(2 * GRACE_SECONDS) == [(failed.row, SPARE // LARGE)]


def test_what_is_remembered_stays() -> None:
    stand = Stand(4000)
    stand.join(reply(100, 100))
    (ended,) = stand.admit()
    stand.placement.remembered[ended.row] = 120
    stand.end(ended, 150)
    assert stand.tidy(2 * GRACE_SECONDS) == [(ended.row, 120)]
    assert stand.placement.remembered == {ended.row: 120}


def test_what_is_remembered_goes_when_seated_replies_need_the_memory() -> None:
    stand = Stand(200)
    old, recent = reply(40, 40), reply(40, 40)
    stand.join(old, recent)
    stand.admit()
    for each in (old, recent):
        stand.now += 1
        stand.placement.remembered[each.row] = 80
        stand.end(each, 80)
    stand.join(reply(50, 50))  # takes the row that was freed last
    (seated,) = stand.admit()
    assert seated.row == recent.row
    assert stand.tidy() == [], "80 tokens of the other row fit beside its 100"
    stand.join(reply(20, 20))
    (another,) = stand.admit()
    assert another.row == old.row
    assert stand.tidy() == [], "its own row's tokens are part of what it commits to"
    stand.end(another, 20)
    stand.join(reply(20, 30), reply(20, 30))
    stand.admit()
    stand.tidy()
    assert stand.size <= 200


def test_a_row_is_cut_in_parts_so_that_no_step_waits_for_it() -> None:
    stand = Stand(4000, token_bytes=1 << 20)
    stand.join(reply(500, 500), reply(1, 1))
    large, other = stand.admit()
    stand.end(large, 1000)
    parts = [stand.tidy(GRACE_SECONDS * (at == 0)) for at in range(3)]
    assert parts == [[(large.row, 984)], [(large.row, 968)], [(large.row, 952)]]
    stand.end(other, 1)
    assert stand.tidy() == [(large.row, 696)], "nobody waits now"


def test_memory_that_was_used_without_a_reply_is_counted() -> None:
    stand = Stand(100)
    stand.memory.touch(2, 30)
    stand.join(reply(30, 30))
    stand.admit()
    stand.join(reply(10, 15))
    stand.admit()
    stand.tidy()
    assert stand.size <= 100


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2)), max_size=40),
    st.integers(50, 300),
    st.sampled_from([1, 8]),
    st.randoms(use_true_random=False),
)
@BOUNDED
def test_never_more_is_committed_than_there_is_and_all_are_seated_in_the_end(
    wanted: Sequence[tuple[int, int, int]], tokens: int, grain: int, chance: object
) -> None:
    stand = Stand(tokens, grain=grain, token_bytes=1 << 20)
    replies = [reply(length, limit, f"{team}") for length, limit, team in wanted]
    joining, ended = list(replies), 0
    for _ in range(4000):
        if joining and chance.random() < 0.3:  # type: ignore[attr-defined]
            stand.join(joining.pop())
        stand.admit()
        assert stand.memory.committed <= tokens
        for each in list(stand.rows):
            each.fed += 1
            if each.most_steps <= 0 or chance.random() < 0.02:  # type: ignore[attr-defined]
                stand.placement.remembered[each.row] = each.fed
                stand.rows.evict(each)
                ended += 1
        stand.tidy(0.1)
        assert stand.size <= tokens + grain
        if ended == len(replies):
            break
    assert ended == len(replies)
    assert stand.memory.committed == 0


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3)), max_size=30))
@BOUNDED
def test_where_all_fit_teams_are_seated_in_the_same_order_as_without_a_limit(
    wanted: Sequence[tuple[int, int, int]],
) -> None:
    orders = []
    for tokens in (4 * 40, 1 << 40):
        stand, order = Stand(tokens), []
        stand.join(*(reply(length, limit, f"{team}") for length, limit, team in wanted))
        while len(stand.line):
            order += [(each.team, len(each.submit.prompt)) for each in stand.admit()]
            for each in list(stand.rows)[:1]:
                stand.end(each, 1)
        orders.append(order)
    assert orders[0] == orders[1]


@given(st.integers(1, 200), st.integers(1, 100))
@BOUNDED
def test_a_long_reply_is_seated_by_the_step_at_which_the_seated_ones_have_ended(
    lengths: int, newcomers: int
) -> None:
    """Short ones arrive in every step, and use the memory beside it; they never delay it."""
    stand = Stand(200, count=16)
    stand.join(*(reply(1, 1 + (lengths * at) % 60) for at in range(3)))
    stand.admit()
    long = reply(100, 80)
    stand.join(long)
    latest = max(each.most_steps for each in stand.rows)
    for _ in range(latest + 1):
        stand.join(reply(1, 1 + newcomers % 30))
        stand.admit()
        if stand.rows.find(long.id) is long:
            return
        for each in list(stand.rows):
            each.fed += 1
            if each.most_steps <= 0:
                stand.rows.evict(each)
    pytest.fail("others have delayed it")


# In a backend


class SmallEngine(RecordedEngine):
    """Has memory for a few tokens, in large ones, and checks that no reply uses more."""

    def __init__(self, tokens: int) -> None:
        ScriptedEngine.__init__(self, rows=8, width=32, context_length=400, cache_tokens=tokens)
        self.memory = CacheMemory(self.memory.tokens, LARGE, shortens=self.memory.shortens)
        self.steps, self.seatings, self.forks = [], [], []
        self.most = 0

    def step(self, feeds):  # type: ignore[no-untyped-def]
        drawn = super().step(feeds)
        self.most = max(self.most, sum(row.fed for row in self._rows.values()))
        return drawn


def ends_of(tokens: int, wanted: Sequence[Submit]) -> tuple[Driven, dict[str, list[int]]]:
    driven = Driven(engine=SmallEngine(tokens))
    reader = driven.reader()
    for each in wanted:
        reader.send(each)
        driven.step()
    driven.finish()
    assert not reader.rejected
    assert {end.reason for end in reader.ends.values()} == {"length"}
    return driven, dict(reader.tokens)


def test_replies_are_the_same_with_little_memory_and_no_row_uses_more() -> None:
    wanted = [
        submit(f"{at}", bytes(range(1 + at * 7 % 60)), max_tokens=1 + at * 5 % 40, team=f"{at % 3}")
        for at in range(30)
    ]
    _, ample = ends_of(3200, wanted)
    driven, scarce = ends_of(120, wanted)
    assert scarce == ample
    assert isinstance(driven.engine, SmallEngine)
    assert driven.engine.most <= 120
    assert driven.backend.status().cache.committed == 0


def test_choices_and_searches_are_the_same_with_little_memory() -> None:
    def replies(tokens: int) -> dict[str, list[int]]:
        driven = Driven(engine=SmallEngine(tokens))
        reader = driven.reader()
        reader.send(*choices("n", 6, bytes(range(30)), max_tokens=10))
        reader.send(submit("search", bytes(20), max_tokens=9, beams=3, length_penalty=1.0))
        driven.finish()
        assert set(reader.ends) == {"search", *(named("n", choice) for choice in range(6))}
        return dict(reader.tokens)

    assert replies(100) == replies(3200)


def test_a_prompt_that_can_never_fit_is_refused_with_the_arithmetic() -> None:
    driven = Driven(engine=SmallEngine(100))
    reader = driven.reader()
    reader.send(submit("long", bytes(100)), submit("fits", bytes(99), max_tokens=5000))
    reader.send(submit("wide", bytes(30), max_tokens=20, beams=4))
    driven.finish()
    assert set(reader.rejected) == {"long", "wide"}
    assert {each.reason for each in reader.rejected.values()} == {"too_long"}
    assert reader.rejected["long"].message == (
        "the prompt has 100 tokens; there is memory for 100 (6553600 bytes, 65536 for each), and a "
        "reply needs at least one of them: shorten it, or set a higher KV_MEMORY on the server"
    )
    assert reader.rejected["wide"].message == (
        "a beam search with 4 beams, each of 30 prompt tokens and up to 20 more, needs memory for "
        "200 tokens; there is memory for 100 (6553600 bytes, 65536 for each): request fewer beams "
        "or a lower max_tokens, or set a higher KV_MEMORY on the server"
    )
    assert driven.backend.status().context_length == 100


def test_a_search_that_another_backend_accepted_is_not_refused() -> None:
    driven = Driven(engine=SmallEngine(100))
    reader = driven.reader()
    reader.send(submit("wide", bytes(30), max_tokens=20, beams=4, delivered=[]))
    driven.finish()
    assert reader.reason("wide") == "length"


def test_a_line_of_no_places_accepts_what_there_is_memory_for() -> None:
    driven = Driven(engine=SmallEngine(100), waiting=0)
    reader = driven.reader()
    reader.send(submit("first", bytes(30), max_tokens=30))
    driven.step()
    assert driven.backend.status().room == 0
    reader.send(submit("second", bytes(30), max_tokens=30))
    driven.finish()
    assert reader.rejected["second"].reason == "overloaded"
    assert driven.backend.status().room == 8
