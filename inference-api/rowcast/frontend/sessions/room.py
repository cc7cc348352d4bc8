"""How much room the waiting line has, as a frontend knows it: to refuse what would be refused.

    what the backend has told - what was sent and it has not spoken of yet ──▶ room of a team

Exact where the backend tells of every change, which is where there is little room; elsewhere there
may be more than it has told, and it decides by itself. Any thread may ask.
Knows no sessions and no HTTP.
"""

import threading
from collections.abc import Iterable

from rowcast.errors import Overloaded, full_line
from rowcast.wire import ReplyKey, Status


class Room:
    """Of one frontend process."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._unheard: dict[ReplyKey, str] = {}  # the team of what was sent and not yet spoken of
        self._counts: dict[str, int] = {}  # of these, by team

    @property
    def is_little(self) -> bool:
        """True if the backend tells of every change."""
        return self._status is not None and self._status.little_room

    def told(self, status: Status | None) -> None:
        """Note what the backend says; None when there is none."""
        self._status = status

    def sent(self, keys: Iterable[ReplyKey], team: str) -> None:
        """Count what was submitted, until the backend speaks of it."""
        with self._lock:
            for key in keys:
                if key not in self._unheard:
                    self._unheard[key] = team
                    self._counts[team] = self._counts.get(team, 0) + 1

    def heard_of(self, key: ReplyKey) -> None:
        """The backend has spoken of it, so its next Status counts it."""
        with self._lock:
            if (team := self._unheard.pop(key, None)) is not None:
                self._counts[team] -= 1
                if not self._counts[team]:
                    del self._counts[team]

    def forget(self) -> None:
        """The backend has ended, with all that it was sent."""
        with self._lock:
            self._unheard.clear()
            self._counts.clear()

    def check(self, count: int, team: str, coming: int = 0) -> None:
        """Raise Overloaded if the backend would refuse this many more replies of a team.

        `coming`: those of the team that will ask for a row before this one does.
        """
        status = self._status
        if status is None or not status.little_room:
            return
        told = next((each for each in status.team_rooms if each.team == team), None)
        unheard = self._counts.get(team, 0)
        room = max(0, (told.room if told else status.room) - unheard - coming)
        if count <= room:
            return
        if told is not None and told.waiting < status.waiting:
            raise Overloaded(full_line(told.waiting, room, of_team=True), told.retry_after)
        free = status.rows - status.seated
        places = status.waiting + max(0, (told.room if told else status.room) - free)
        raise Overloaded(full_line(places, room), told.retry_after if told else status.retry_after)
