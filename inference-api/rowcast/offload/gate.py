"""Admits a few tasks at a time: teams take turns; within a team, first come, first served.

A team that already has `each` tasks inside is skipped until one of them leaves; a team that has
`waiting` tasks waiting is refused. Thread-safe.
"""

import threading
from collections import Counter, deque


class Gate:
    """A number of places."""

    def __init__(self, places: int, *, each: int, waiting: int) -> None:
        self._free = places
        self._each = each
        self._most = waiting
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[threading.Event]] = {}  # the next team first
        self._lock = threading.Lock()

    def try_enter(self, team: str) -> bool:
        """Take a place if one is free now and no task waits for it."""
        with self._lock:
            return self._take(team) if not self._waiting else False

    def enter(self, team: str, seconds: float) -> bool:
        """Take a place, waiting if necessary; False if none became free in time."""
        with self._lock:
            if team not in self._waiting and self._take(team):
                return True
            turns = self._waiting.setdefault(team, deque())
            if len(turns) >= self._most:
                return False
            turn = threading.Event()
            turns.append(turn)
        if turn.wait(seconds):
            return True
        with self._lock:
            if turn.is_set():
                return True
            self._forget(team, turn)
            return False

    def leave(self, team: str) -> None:
        """Release a place, to the next team that may have it."""
        with self._lock:
            self._free += 1
            self._inside[team] -= 1
            if not self._inside[team]:
                del self._inside[team]
            for waiting in list(self._waiting):
                if self._take(waiting):
                    turn = self._waiting[waiting].popleft()
                    self._to_the_end(waiting)
                    turn.set()

    @property
    def waiting(self) -> int:
        """The number of tasks that wait for a place."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def _take(self, team: str) -> bool:
        if self._free <= 0 or self._inside[team] >= self._each:
            return False
        self._free -= 1
        self._inside[team] += 1
        return True

    def _to_the_end(self, team: str) -> None:
        turns = self._waiting.pop(team)
        if turns:
            self._waiting[team] = turns

    def _forget(self, team: str, turn: threading.Event) -> None:
        turns = self._waiting[team]
        turns.remove(turn)
        if not turns:
            del self._waiting[team]
