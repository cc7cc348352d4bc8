"""With little memory, no step takes more than there is, whatever prefixes rows hold.

Covers `memory/row_memory`.
"""

import random
from functools import partial

import pytest

from backend.driven import Driven, RecordedEngine, choices, named, submit
from engine.rule import reply as expected
from rowcast.backend.policies import Policies
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.backend.sharing import LEAST_FOUND
from rowcast.engine.engine import CacheMemory, SavedCache
from rowcast.engine.scripted_engine import ScriptedEngine

TOKENS = 600


class PagedEngine(RecordedEngine):
    """Counts the memory that each row has taken, as the system does: what was written stays."""

    def __init__(self, tokens: int, grain: int) -> None:
        ScriptedEngine.__init__(self, rows=8, width=48, context_length=400, cache_tokens=tokens)
        self.memory = CacheMemory(tokens, 64 << 10, grain, shortens=self.memory.shortens)
        self.steps, self.seatings, self.forks, self.copies, self.loads = [], [], [], [], []
        self.pages = [0] * self.rows
        self.saved = 0  # tokens, since the last step
        self.most_saved = 0  # of a step
        self.most = 0

    def wrote(self, row: int) -> None:
        self.pages[row] = max(self.pages[row], self.memory.up(len(self._rows[row].cache)))
        self.most = max(self.most, sum(self.pages))

    def step(self, feeds):  # type: ignore[no-untyped-def]
        drawn = super().step(feeds)
        self.most_saved, self.saved = max(self.most_saved, self.saved), 0
        for feed in feeds:
            self.wrote(feed.row)
        return drawn

    def fork(self, source: int, target: int, tokens, held: int = 0) -> None:  # type: ignore[no-untyped-def]
        super().fork(source, target, tokens, held)
        self.wrote(target)

    def copy(self, source: int, target: int, count: int) -> None:
        super().copy(source, target, count)
        self.wrote(target)

    def save(self, row: int, count: int) -> SavedCache:
        self.saved += count
        return super().save(row, count)

    def save_part(self, row: int, saved: SavedCache, begin: int, end: int) -> None:
        self.saved += end - begin
        super().save_part(row, saved, begin, end)

    def load(self, row: int, saved, count: int) -> None:  # type: ignore[no-untyped-def]
        super().load(row, saved, count)
        self.wrote(row)

    def trim(self, row: int, length: int) -> None:
        super().trim(row, length)
        self.pages[row] = min(self.pages[row], self.memory.up(length))


@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("grain", [1, 8])
def test_rows_never_take_more_memory_than_there_is(grain: int, limit: int) -> None:
    chance = random.Random(grain + limit)
    placement = partial(prefix_placement, limit=limit)
    engine = PagedEngine(TOKENS, grain)
    driven = Driven(engine=engine, policies=Policies(placement=placement))
    reader = driven.reader()
    systems = [tuple(chance.choices(range(65, 91), k=260)) for _ in range(3)]
    sent: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for number in range(40):
        begin = chance.choice(systems)[: chance.choice([100, 200, 260])]
        prompt = (*begin, *chance.choices(range(97, 123), k=chance.randrange(1, 60)))
        count, most = chance.choice([(1, 5), (1, 40), (3, 10)])
        reader.send(*choices(f"{number}", count, prompt, max_tokens=most, key="a"))
        sent |= {named(f"{number}", at): (prompt, most, at) for at in range(count)}
        driven.step(chance.randrange(1, 12))
    reader.send(submit("search", bytes(60), max_tokens=9, beams=3, length_penalty=1.0))
    driven.finish()
    assert engine.copies, "rows were copied"
    assert bool(engine.loads) == bool(limit), "and loaded from the store"
    assert engine.most <= TOKENS
    for name, (prompt, most, at) in sent.items():
        wanted = expected(prompt, 1, most, choice=at, ignore_eos=True)
        assert (tuple(reader.tokens[name]), reader.reason(name)) == wanted


@pytest.mark.parametrize("room", [1, 2])
def test_what_is_given_back_is_stored_in_parts_and_found_whole(room: int) -> None:
    """`room`: how many such beginnings the store has room for."""
    engine = PagedEngine(400, 1)
    engine.memory = CacheMemory(400, 1 << 20, shortens=engine.memory.shortens)
    placement = partial(prefix_placement, limit=room * 310 * 8)
    driven = Driven(engine=engine, policies=Policies(placement=placement))
    reader = driven.reader()
    prompt = tuple(random.Random(5).choices(range(65, 91), k=300))
    reader.send(submit("first", prompt, max_tokens=8, key="a"))
    driven.finish()
    assert engine.most_saved == 0
    reader.send(submit("long", bytes(50), max_tokens=340, key="b"))
    driven.finish()
    assert 0 < engine.most_saved <= engine.width + LEAST_FOUND, "no step has waited for more"
    assert engine.most <= 400
    reader.send(submit("again", prompt, max_tokens=8, key="a"))
    driven.finish()
    assert reader.tokens["again"] == reader.tokens["first"]
    assert reader.cached["again"] == len(prompt) - 1


def test_a_row_that_has_stored_a_part_is_completed_before_it_is_used() -> None:
    """A prompt that begins like it gets what the row has given back, too."""
    engine = PagedEngine(600, 1)
    engine.memory = CacheMemory(600, 1 << 20, shortens=engine.memory.shortens)
    placement = partial(prefix_placement, limit=1 << 20)
    driven = Driven(engine=engine, policies=Policies(placement=placement))
    reader = driven.reader()
    prompt = tuple(random.Random(6).choices(range(65, 91), k=300))
    reader.send(submit("first", prompt, max_tokens=8, key="a"))
    driven.finish()
    reader.send(submit("long", bytes(50), max_tokens=350, key="b"))
    driven.step(12)
    assert engine.pages[0] in range(64, 300), "the first row has given back a part"
    reader.send(submit("again", prompt, max_tokens=8, key="a"))
    driven.finish()
    assert reader.tokens["again"] == reader.tokens["first"]
    assert reader.cached["again"] == len(prompt) - 1


def test_a_copy_is_shorter_if_both_rows_do_not_fit() -> None:
    engine = PagedEngine(TOKENS // 2, 1)
    placement = partial(prefix_placement, limit=0)
    driven = Driven(engine=engine, policies=Policies(placement=placement))
    reader = driven.reader()
    prompt = tuple(random.Random(5).choices(range(65, 91), k=250))
    for number in range(2):
        mine = (*prompt[:180], 97 + number, *prompt[181:])
        reader.send(submit(f"{number}", mine, max_tokens=8, key="a"))
        driven.finish()
        wanted = expected(mine, 1, 8, ignore_eos=True)
        assert (tuple(reader.tokens[f"{number}"]), reader.reason(f"{number}")) == wanted
    (copied,) = engine.copies
    assert copied == TOKENS // 2 - 180
    assert reader.cached == {"0": 0, "1": copied}
    assert engine.most == TOKENS // 2
