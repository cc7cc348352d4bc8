"""Whose turn is next: the order of the teams that wait for a row.

    waiting   a: 40 prompts   b: 1 prompt   c: 3 prompts
    seated    a: 30 rows      b: 0 rows     c: 0 rows
    seated next: b, c, c, c, a, …

The next free row goes to the waiting team that has the fewest rows; among equals, to the one that
has waited longest since its last turn. A team that has no row is therefore seated after at most as
many others as there are waiting teams without one. Replies keep their rows, so a team may have
more than its share for as long as a reply takes, and no longer.

`Order` is the seam: an order by what each team's tokens have cost replaces `TurnOrder` here.
Knows no replies and no prompts, only the names of teams.
"""

from collections.abc import Callable, Iterator
from typing import Protocol


class Order(Protocol):
    """The order of the teams that have prompts in the waiting line."""

    def join(self, team: str) -> None:
        """One more prompt of this team waits."""

    def leave(self, team: str) -> None:
        """No prompt of this team waits any more."""

    def seat(self, team: str) -> None:
        """A prompt of this team was given a row."""

    def ranked(self, rows_of: Callable[[str], int]) -> Iterator[str]:
        """All teams that wait, the next one first. `rows_of`: how many rows a team has."""


class TurnOrder:
    """Fewest rows first, then in turn."""

    def __init__(self) -> None:
        self._ring: dict[str, None] = {}  # in the order of their turns

    def join(self, team: str) -> None:
        """A team that was not waiting gets its turn after those that were."""
        self._ring.setdefault(team)

    def leave(self, team: str) -> None:
        self._ring.pop(team, None)

    def seat(self, team: str) -> None:
        if team in self._ring:
            del self._ring[team]
            self._ring[team] = None

    def ranked(self, rows_of: Callable[[str], int]) -> Iterator[str]:
        """Most callers need the first only."""
        if not self._ring:
            return
        first = min(self._ring, key=rows_of)
        yield first
        yield from (team for team in sorted(self._ring, key=rows_of) if team != first)
