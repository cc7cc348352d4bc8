"""The waiting line: accepted replies without a row, how many more it takes, and which is next.

A single team may fill it. While others wait, a team may hold half of it, and no more than what is
left free of twice its length (the dynamic threshold of shared buffers). So a newcomer finds room
in a line that another team has filled, and the line as a whole stays bounded.

    limit 8   a waits alone        a may hold 8
              then b joins         b may hold 4; a (which has 8) may add none until it has under 4
              then c joins         c may hold 2: half of what 16 leaves after a and b
"""

from collections.abc import Callable, Iterator
from heapq import nsmallest
from operator import attrgetter

from rowcast.backend.reply import Reply
from rowcast.backend.rows import Roster, Rows
from rowcast.backend.turns import Order, TurnOrder
from rowcast.wire import LITTLE_ROOM, TeamRoom

NAMED_TEAMS = 16  # teams whose room is sent by name; the backend itself counts every team


class WaitingLine(Roster):
    """The waiting line of one backend."""

    def __init__(self, limit: int, order: Order | None = None) -> None:
        super().__init__()
        self._limit = limit
        self._order = order or TurnOrder()

    def join(self, reply: Reply) -> None:
        super().join(reply)
        self._order.join(reply.team)

    def leave(self, reply: Reply) -> None:
        super().leave(reply)
        if not self.of_team(reply.team):
            self._order.leave(reply.team)

    def room(self, free_rows: int, team: str = "") -> int:
        """Return how many more replies of a team are accepted; each free row adds one for all."""
        return self._room(len(self.of_team(team)), free_rows)

    def newcomer_room(self, free_rows: int) -> int:
        """Return how many replies are accepted of a team that has none in the line."""
        return self._room(0, free_rows)

    def team_rooms(self, free_rows: int) -> tuple[TeamRoom, ...]:
        """Return waiting teams with little room, or more than a newcomer has; least room first."""
        if not len(self):
            return ()
        most = self.newcomer_room(free_rows)
        rooms = (
            TeamRoom(team, self._room(waiting, free_rows), waiting)
            for team, waiting in self.team_counts()
        )
        named = [each for each in rooms if each.room < LITTLE_ROOM or each.room > most]
        return tuple(nsmallest(NAMED_TEAMS, named, key=attrgetter("room")))

    def fitting(
        self, rows: Rows, most: int, allowed: Callable[[Reply], bool] | None = None
    ) -> Reply | None:
        """Return the next reply that needs at most this many rows; None if there is none.

        It is of the team whose turn it is, and `allowed`. Prefer the first reply whose group holds
        less than half of the rows; otherwise take the first.
        """
        first = None
        for team in self._order.ranked(lambda team: len(rows.of_team(team))):
            for reply in self._allowed(team, rows, most, allowed):
                if len(rows.of(reply.group)) < rows.count // 2:
                    return reply
                first = first or reply
        return first

    def _allowed(
        self, team: str, rows: Rows, most: int, allowed: Callable[[Reply], bool] | None
    ) -> Iterator[Reply]:
        """Yield a team's replies that need at most this many rows, in the order of the line.

        A reply whose `dyn_batch` is reached waits, and no later one with such a limit passes it.
        """
        reached = False
        for reply in self.of_team(team):
            if reply.beams > most or (allowed is not None and not allowed(reply)):
                continue
            if reply.dyn_batch:
                reached = reached or _is_reached(reply, rows)
                if reached:
                    continue
            yield reply

    def seat(self, reply: Reply, rows: Rows) -> None:
        """Move a reply from the line to a row."""
        self.leave(reply)
        rows.seat(reply)
        self._order.seat(reply.team)

    def _room(self, mine: int, free_rows: int) -> int:
        others = len(self) - mine
        ahead, spare = max(0, others - free_rows), max(0, free_rows - others)
        most = self._limit
        if ahead:
            most = min((most + 1) // 2, (2 * most - ahead + 1) // 2)
        return max(0, most + spare - mine)


def _is_reached(reply: Reply, rows: Rows) -> bool:
    """True if seating this reply would exceed its `dyn_batch`, or that of a seated reply."""
    limits = [each.dyn_batch for each in rows.of_team(reply.team) if each.dyn_batch]
    most = min(reply.dyn_batch, *limits, rows.count)
    return bool(limits) and len(limits) + reply.rows_needed > most
