"""Several tokens per step: a row whose drafts were right still lacks one token, and decodes."""

from collections.abc import Sequence
from copy import deepcopy

import pytest
from msgspec.structs import replace

from engine.rule import reply as expected
from rowcast.engine.engine import Drawn, Feed

from .driven import Driven, RecordedEngine, submit

DRAFTS = 3


class DraftingEngine(RecordedEngine):
    """Draws with drafts that are always right, and keeps them in its cache or computes them again.

    Rows that keep them have all new tokens but the last in their cache.
    """

    def __init__(self, *, keeps: bool) -> None:
        super().__init__()
        self._keeps = keeps

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        drawn = super().step(feeds)
        ends = {feed.row: feed.position + len(feed.tokens) for feed in feeds}
        return [self._drafted(each, ends[each.row]) for each in drawn]

    def _drafted(self, drawn: Drawn, end: int) -> Drawn:
        row, tokens = deepcopy(self._rows[drawn.row]), list(drawn.tokens)
        for draft in range(DRAFTS):
            row.take(Feed(drawn.row, end + draft, tokens[-1:], draws=True))
            tokens += row.draw(drawn.row).tokens
        if self._keeps:
            self._rows[drawn.row] = row
        return replace(drawn, tokens=tuple(tokens), cached=DRAFTS if self._keeps else 0)


@pytest.mark.parametrize(("keeps", "fed"), [(True, 1), (False, 1 + DRAFTS)])
def test_a_row_is_fed_what_its_cache_lacks_and_has_the_same_reply(keeps: bool, fed: int) -> None:
    engine = DraftingEngine(keeps=keeps)
    driven = Driven(engine=engine)
    reader = driven.reader()
    reader.send(submit("a", max_tokens=20), submit("b", b"World", max_tokens=13, seed=2))
    driven.finish()
    assert {len(feed.tokens) for feeds in engine.steps[1:] for feed in feeds} == {fed}
    assert len(engine.steps) == 20 // (1 + DRAFTS)
    assert reader.tokens["a"] == list(expected(b"Hello", 1, 20, ignore_eos=True)[0])
    assert reader.tokens["b"] == list(expected(b"World", 2, 13, ignore_eos=True)[0])
    assert (reader.reason("a"), reader.reason("b")) == ("length", "length")


def test_the_next_reply_of_a_row_does_not_see_the_drafts_of_the_last_one() -> None:
    driven = Driven(engine=DraftingEngine(keeps=True))
    reader = driven.reader()
    for session in ("first", "second"):
        reader.send(submit(session, max_tokens=6))
        driven.finish()
    assert reader.tokens["first"] == reader.tokens["second"]
    assert reader.tokens["first"] == list(expected(b"Hello", 1, 6, ignore_eos=True)[0])
