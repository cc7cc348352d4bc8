"""How many bytes of request bodies a process holds: one limit for all, half of it per team.

A body is charged for the bytes that have arrived, not for its announced length, and releases them
when they are no longer needed. The first few bytes of each body are always granted, so that
ordinary requests pass while large ones of others fill the budget.
"""

from collections import Counter
from typing import Final

GRANTED: Final = 1 << 14  # bytes of each body that are never refused


class Budget:
    """The budget of one process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """The bytes held by all teams."""
        return self._held.total()

    def share(self, team: str) -> "Share":
        """Return the share of a new body of a team, which holds nothing yet."""
        return Share(self, team)

    def holds(self, team: str) -> bool:
        """True if the team holds any bytes."""
        return team in self._held

    def has_room(self, team: str, count: int) -> bool:
        """True if the team may hold this many more bytes."""
        return self.held + count <= self.limit and self._held[team] + count <= self.limit // 2

    def add(self, team: str, count: int) -> None:
        """Add bytes to a team's count; a negative number removes them."""
        self._held[team] += count
        if not self._held[team]:
            del self._held[team]


class Share:
    """The bytes that one body holds."""

    def __init__(self, budget: Budget, team: str) -> None:
        self._budget = budget
        self.team = team
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold this many more bytes; if they are too many, hold none and return False."""
        beyond = self.held + count > GRANTED
        if beyond and not self._budget.has_room(self.team, count):
            return False
        self._budget.add(self.team, count)
        self.held += count
        return True

    def release(self) -> None:
        """Release all bytes."""
        self._budget.add(self.team, -self.held)
        self.held = 0
