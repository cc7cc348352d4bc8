"""The fixed set of rows: which reply is in which row.

`Rows` seats replies and evicts them; a free row holds no reply. Which free row a reply takes is
decided by a `Placement`, and whether there is memory for it by `memory`. Knows no feed sizes, no
transport and no engine.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from rowcast.backend.memory.row_memory import RowMemory
from rowcast.backend.placement import LastFreed, Place, Placement
from rowcast.backend.reply import Group, Reply, ReplyId
from rowcast.wire import Prefixes

_Key = TypeVar("_Key", Group, str)


class Roster:
    """Replies in the order in which they joined, by id, by group and by team."""

    def __init__(self) -> None:
        self._replies: dict[ReplyId, Reply] = {}
        self._groups: dict[Group, dict[ReplyId, Reply]] = {}
        self._teams: dict[str, dict[ReplyId, Reply]] = {}
        self.changes = 0  # how many replies have joined and left

    def __len__(self) -> int:
        return len(self._replies)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._replies.values())

    def join(self, reply: Reply) -> None:
        self.changes += 1
        self._replies[reply.id] = reply
        self._groups.setdefault(reply.group, {})[reply.id] = reply
        self._teams.setdefault(reply.team, {})[reply.id] = reply

    def leave(self, reply: Reply) -> None:
        self.changes += 1
        del self._replies[reply.id]
        _remove(self._groups, reply.group, reply.id)
        _remove(self._teams, reply.team, reply.id)

    def find(self, reply_id: ReplyId) -> Reply | None:
        return self._replies.get(reply_id)

    def of(self, group: Group) -> Collection[Reply]:
        """Return the replies of one group."""
        return self._groups.get(group, {}).values()

    def of_team(self, team: str) -> Collection[Reply]:
        """Return the replies of one team, in the order in which they joined."""
        return self._teams.get(team, {}).values()

    @property
    def teams(self) -> int:
        """The number of teams that have replies here."""
        return len(self._teams)

    def team_counts(self) -> Iterator[tuple[str, int]]:
        """Yield each team that has replies here, with their number."""
        return ((team, len(replies)) for team, replies in self._teams.items())


def _remove(parts: dict[_Key, dict[ReplyId, Reply]], key: _Key, reply_id: ReplyId) -> None:
    """Remove a reply from its part; delete the part when it is empty."""
    part = parts[key]
    del part[reply_id]
    if not part:
        del parts[key]


class Rows(Roster):
    """The rows. Iterates over the seated replies in the order of their seating."""

    def __init__(
        self,
        count: int,
        placement: Placement | None = None,
        memory: RowMemory | None = None,  # None: there is enough for any reply
    ) -> None:
        super().__init__()
        self.count = count
        self._placement = placement or LastFreed(count)
        self.memory = memory or RowMemory(count, self._placement)
        self._by_row: dict[int, Reply] = {}

    @property
    def free(self) -> int:
        return self.count - len(self)

    @property
    def usable(self) -> int:
        """The number of free rows for which there is probably memory."""
        return self.memory.seats(self.free)

    def seat(self, reply: Reply) -> None:
        place = self._placement.take(reply)
        reply.row = place.row
        self._by_row[reply.row] = reply
        self.join(reply)
        self.memory.seat(reply)
        reply.fed = self._filled(reply, place)
        reply.found = min(place.found, reply.fed, len(reply.submit.prompt))
        if reply.beams:
            whole = len(reply.submit.prompt) + reply.limit
            self.reserve(reply, whole)  # its search copies rows at any step

    def evict(self, reply: Reply) -> None:
        self.leave(reply)
        del self._by_row[reply.row]
        self._placement.give_back(reply)
        self.memory.leave(reply)

    def discard(self, reply: Reply) -> None:
        """Forget what a seated reply was fed: no other reply begins with it."""
        self.memory.note_fed(reply)
        reply.fed = 0

    def reserve(self, reply: Reply, tokens: int, source: int | None = None) -> int:
        """Let a seated reply's row take memory for so many tokens; return for how many there is.

        Rows that need theirs less give it back before. `source`: a free row that is still read.
        """
        if not self.memory.tight:
            return tokens
        self._note_fed()
        return self.memory.reserve(reply.row, tokens, source)

    def reserve_all(self, lengths: Iterable[tuple[Reply, int]]) -> None:
        """Let rows take memory for what they will hold after a step."""
        if self.memory.tight:
            self._note_fed()
            for reply, tokens in lengths:
                self.memory.reserve(reply.row, tokens)

    def _note_fed(self) -> None:
        for reply in self:
            self.memory.note_fed(reply)

    def _filled(self, reply: Reply, place: Place) -> int:
        """Write what a reply begins with to its row, and return how many tokens that are."""
        if place.fill is None:
            return place.held
        count = self.reserve(reply, place.held, place.source)
        if count:
            place.fill(count)
        return count

    def stored(self) -> Prefixes:
        """Return what the placement stores beyond the rows."""
        return self._placement.stored()

    def close(self) -> None:
        """Finish the placement's work: the backend ends."""
        self._placement.close()

    def at(self, row: int) -> Reply:
        return self._by_row[row]
