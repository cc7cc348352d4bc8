"""Whose turn is next: the order of the teams that wait for a row.

    waiting   a: 40 prompts   b: 1 prompt   c: 3 prompts
    seated    a: 30 rows      b: 0 rows     c: 0 rows
    seated next: b, c, c, c, a, …

The next free row goes to the waiting team that has the fewest rows; among equals, to the one that
has waited longest since its last turn. So before a team without a row is seated, at most as many
others are seated as there are waiting teams without one. Replies keep their rows, so a team may
exceed its share for as long as a reply takes, and no longer.

`Order` is the seam: it learns what each step costs each team, so an order by the cost of a team's
tokens can replace `TurnOrder`. Knows no replies and no prompts, only the names of teams.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol


class Order(Protocol):
    """The order of the teams that have prompts in the waiting line.

    An implementation may count what teams have cost, also while none of their prompts waits, and
    must forget a team some time after its last reply. It may not drop a waiting team: `ranked`
    yields each exactly once, so that every prompt is seated at last.
    """

    def join(self, team: str) -> None:
        """Add a team when one of its prompts joins the line."""

    def leave(self, team: str) -> None:
        """Remove a team when its last waiting prompt has left the line."""

    def seat(self, team: str) -> None:
        """Note that a prompt of this team was given a row."""

    def charge(self, fed: Iterable[tuple[str, int]]) -> None:
        """Note how many tokens a step has fed to which team, row by row. Called once per step."""

    def ranked(self, rows_of: Callable[[str], int]) -> Iterator[str]:
        """Yield all waiting teams, the next one first. `rows_of` returns a team's row count."""


class TurnOrder:
    """Fewest rows first, then in turn."""

    def __init__(self) -> None:
        self._ring: dict[str, None] = {}  # in the order of their turns

    def join(self, team: str) -> None:
        """Put a team that was not waiting behind those that were."""
        self._ring.setdefault(team)

    def leave(self, team: str) -> None:
        self._ring.pop(team, None)

    def seat(self, team: str) -> None:
        if team in self._ring:
            del self._ring[team]
            self._ring[team] = None

    def charge(self, fed: Iterable[tuple[str, int]]) -> None:
        """Do nothing: turns cost the same, whatever is fed."""

    def ranked(self, rows_of: Callable[[str], int]) -> Iterator[str]:
        """Yield the first team before the rest are sorted; most callers need only that one."""
        if not self._ring:
            return
        first = min(self._ring, key=rows_of)
        yield first
        yield from (team for team in sorted(self._ring, key=rows_of) if team != first)
