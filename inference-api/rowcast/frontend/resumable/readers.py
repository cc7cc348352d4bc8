"""Limits the readers of kept sessions: a few connections per session, and an amount of memory.

A kept reply is decoded and encoded again for each of its readers, ended or not. Request threads
call this; its lock makes each method one step.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.errors import Overloaded
from rowcast.frontend.sessions.session import Session
from rowcast_http.budget import Budget

READERS = 8  # connections of one process that may read one kept session
RECALLED_BYTES = 1 << 24  # of records that are being read; in memory they take some ten times this


@dataclass(slots=True)
class _Reading:
    name: str
    team: str = ""
    count: int = 0  # bytes of the record


class Readers:
    """The readers of one frontend process."""

    def __init__(self) -> None:
        self.memory = Budget(RECALLED_BYTES)
        self._counts: Counter[str] = Counter()
        self._readings: dict[Session, _Reading] = {}
        self._lock = threading.Lock()

    def enter(self, session: Session, name: str) -> None:
        """Count a session as a reader of the kept one called `name`. Raises Overloaded."""
        with self._lock:
            if self._counts[name] >= READERS:
                raise Overloaded(
                    f"{READERS} connections are already reading this stream, which is "
                    "the limit; try again when one has ended"
                )
            self._counts[name] += 1
            self._readings[session] = _Reading(name)

    def recall(self, session: Session, batches: Sequence[bytes], team: str) -> None:
        """Take the memory for a record of this team. Raises Overloaded if there is too little."""
        count = sum(map(len, batches))
        with self._lock:
            if self.memory.holds(team) and not self.memory.has_room(team, count):
                raise Overloaded(
                    "the memory for reading kept streams is full; try again in a moment"
                )
            self.memory.add(team, count)
            self._readings[session].team, self._readings[session].count = team, count

    def leave(self, session: Session) -> None:
        """Stop counting a session, and the memory of its record."""
        with self._lock:
            if (reading := self._readings.pop(session, None)) is None:
                return
            self._counts[reading.name] -= 1
            if not self._counts[reading.name]:
                del self._counts[reading.name]
            if reading.count:
                self.memory.add(reading.team, -reading.count)
