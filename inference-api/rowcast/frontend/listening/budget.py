"""How many bytes of request bodies a process holds at once: a bound in all, half of it for a team.

A body takes what has arrived of it, not what was announced, and gives it back when nobody needs it
any more. The first few bytes of each are always granted, so that ordinary requests pass while
somebody's large ones fill the budget.

This file stands in the server and in the proxy, which import nothing of each other; a test holds
the two equal.
"""

from collections import Counter
from typing import Final

GRANTED: Final = 1 << 14  # bytes of each body that are never refused


class Budget:
    """Of one process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes of all teams."""
        return self._held.total()

    def share(self, team: str) -> "Share":
        """One body of a team, which has nothing yet."""
        return Share(self, team)

    def has_room(self, team: str, count: int) -> bool:
        """True if the team may hold this many bytes more."""
        return self.held + count <= self.limit and self._held[team] + count <= self.limit // 2

    def add(self, team: str, count: int) -> None:
        """Count bytes in, or out."""
        self._held[team] += count
        if not self._held[team]:
            del self._held[team]


class Share:
    """What one body holds."""

    def __init__(self, budget: Budget, team: str) -> None:
        self._budget = budget
        self.team = team
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold this many bytes more; False, and nothing is held, if they are too many."""
        beyond = self.held + count > GRANTED
        if beyond and not self._budget.has_room(self.team, count):
            return False
        self._budget.add(self.team, count)
        self.held += count
        return True

    def release(self) -> None:
        """Give everything back."""
        self._budget.add(self.team, -self.held)
        self.held = 0
