"""The seams of the decode loop: a toy policy is given to a backend, and changes when, never what.

Each toy is what a later feature needs: an order by cost, rows that keep a team's prefix, and an
admission by priority.

Covers `admission`, `placement`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

from engine.rule import reply as expected
from rowcast.backend.admission import LineAdmission
from rowcast.backend.placement import LastFreed, Place
from rowcast.backend.policies import Policies
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.backend.sharing import shared_length
from rowcast.engine.engine import Drawn, Feed, Seating
from rowcast.engine.scripted_engine import _Row
from rowcast.transport.ports import FrontendId
from rowcast.wire import Rejected, Submit

from .driven import Driven, RecordedEngine, submit


class CheapestFirst:
    """The team that has cost the fewest tokens so far, whether it waits or not."""

    def __init__(self) -> None:
        self.cost: Counter[str] = Counter()
        self._waiting: dict[str, None] = {}

    def join(self, team: str) -> None:
        self._waiting.setdefault(team)

    def leave(self, team: str) -> None:
        self._waiting.pop(team, None)

    def seat(self, team: str) -> None:
        """Do nothing: a seated prompt costs what its steps cost."""

    def charge(self, fed: Iterable[tuple[str, int]]) -> None:
        for team, tokens in fed:
            self.cost[team] += tokens

    def ranked(self, rows_of: Callable[[str], int]) -> Iterator[str]:
        del rows_of
        yield from sorted(self._waiting, key=lambda team: self.cost[team])


class LongestBeginning(LastFreed):
    """The row that holds most of the prompt for its team; the one freed longest ago for others."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self._left: dict[int, tuple[str, list[int]]] = dict.fromkeys(range(rows), ("", []))

    def take(self, reply: Reply) -> Place:
        held = {row: self._shared(reply, *left) for row, left in self._left.items()}
        row = max(held, key=lambda row: held[row])  # among equals the first, freed longest ago
        del self._left[row]
        return Place(row, held[row])

    def give_back(self, reply: Reply) -> None:
        self._left[reply.row] = (reply.team, reply.tokens[: reply.fed])

    def held(self, row: int) -> int:
        return len(self._left[row][1])

    def forget(self, row: int, length: int) -> None:
        del self._left[row][1][length:]

    def _shared(self, reply: Reply, team: str, tokens: list[int]) -> int:
        if team != reply.team or reply.scores:
            return 0
        return min(shared_length(tokens, reply.tokens), len(reply.tokens) - 1)


class KeepingEngine(RecordedEngine):
    """Starts a reply over what its row still holds, if its first feed is further on."""

    def __init__(self, *, rows: int = 32) -> None:
        super().__init__(rows=rows)
        self._left: dict[int, _Row] = {}

    def seat(self, row: int, seating: Seating) -> None:
        if row in self._rows:
            self._left[row] = self._rows[row]
        super().seat(row, replace(seating, held=()))

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        for feed in feeds:
            if feed.position and not self._rows[feed.row].fed:
                self._rows[feed.row].adopt(self._left[feed.row], feed.position)
        return super().step(feeds)


class OnlyTeams(LineAdmission):
    """Today's admission, but for prompts of a team only."""

    def judge(self, frontend: FrontendId, submit: Submit, *, stopping: bool) -> Rejected | None:
        if not submit.team:
            return Rejected(*submit.key, "overloaded", "come with a team", 7)
        return super().judge(frontend, submit, stopping=stopping)


def test_an_order_by_cost_seats_the_team_that_has_cost_less() -> None:
    order = CheapestFirst()
    driven = Driven(rows=1, policies=Policies(order=lambda: order))
    reader = driven.reader()
    reader.send(submit("dear", bytes(40), max_tokens=2, team="dear"))
    driven.step()
    reader.send(submit("dear again", team="dear"), submit("cheap", team="cheap"))
    for _ in range(100):
        driven.step()
        if "cheap" in reader.tokens:
            break
    assert not reader.tokens["dear again"]
    driven.finish()
    assert order.cost == {"dear": 40 + 1 + 5 + 7, "cheap": 5 + 7}, "each token fed is charged"
    assert reader.tokens["cheap"] == list(expected(b"Hello", 1, 8, ignore_eos=True)[0]), (
        "same bytes"
    )


def test_today_s_order_is_first_come_first_served_within_equal_rows() -> None:
    driven = Driven(rows=1)
    reader = driven.reader()
    reader.send(submit("dear", bytes(40), max_tokens=2, team="dear"))
    driven.step()
    reader.send(submit("dear again", team="dear"), submit("cheap", team="cheap"))
    for _ in range(100):
        driven.step()
        if "dear again" in reader.tokens:
            break
    assert not reader.tokens["cheap"]


def test_a_placement_that_keeps_beginnings_spares_the_team_s_next_prompt() -> None:
    driven = Driven(
        engine=KeepingEngine(rows=4),
        rows=4,
        policies=Policies(placement=lambda engine: LongestBeginning(engine.rows)),
    )
    reader = driven.reader()
    begin = bytes(range(65, 90))
    reader.send(submit("first", begin, team="a"), submit("other", begin, team="b"))
    driven.finish()
    before = driven.engine.computed
    reader.send(submit("second", begin + b"!", team="a"))
    driven.finish()
    assert driven.engine.computed - before == 1 + 7, "of the prompt, only its last token was fed"
    reader.send(submit("stranger", begin + b"!", team="c"))
    driven.finish()
    assert driven.engine.computed - before == 1 + 7 + 26 + 7, "strangers share nothing"
    again = list(expected(begin + b"!", 1, 8, ignore_eos=True)[0])
    assert reader.tokens["second"] == reader.tokens["stranger"] == again


def test_rows_seat_a_reply_where_and_as_far_as_the_placement_says() -> None:
    class Fixed(LastFreed):
        def __init__(self) -> None:
            super().__init__(8)
            self.returned: list[int] = []

        def take(self, _reply: Reply) -> Place:
            return Place(5, held=3)

        def give_back(self, reply: Reply) -> None:
            self.returned.append(reply.fed)

        def held(self, _row: int) -> int:
            return 0

        def forget(self, _row: int, _length: int) -> None:
            """Do nothing."""

    placement = Fixed()
    rows = Rows(8, placement)
    reply = Reply(1, submit("s"), limit=9, expires=0, accepted=0)
    rows.seat(reply)
    assert (reply.row, reply.fed, reply.lacks, rows.free) == (5, 3, 2, 7)
    reply.fed = 4
    rows.evict(reply)
    assert (placement.returned, rows.free) == ([4], 8)


def test_by_default_the_row_freed_last_is_taken_and_holds_nothing() -> None:
    placement = LastFreed(3)
    replies = [Reply(1, submit(name), limit=9, expires=0, accepted=0) for name in "abc"]
    for reply in replies:
        reply.row = placement.take(reply).row
    placement.give_back(replies[0])
    placement.give_back(replies[2])
    assert placement.take(replies[1]) == Place(replies[2].row, held=0)


@pytest.mark.parametrize(("team", "accepted"), [("a", True), ("", False)])
def test_an_admission_may_refuse_for_a_reason_of_its_own(team: str, accepted: bool) -> None:
    driven = Driven(policies=Policies(admission=OnlyTeams))
    reader = driven.reader()
    reader.send(submit("s", team=team))
    driven.finish()
    assert (reader.reason("s") == "length") is accepted
    if not accepted:
        rejected = reader.rejected["s"]
        assert (rejected.message, rejected.retry_after) == ("come with a team", 7)
