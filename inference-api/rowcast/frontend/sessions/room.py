"""A frontend's view of the room in the waiting line, to refuse early what would be refused.

    reported room - replies sent that the backend has not acknowledged yet ──▶ room of a team

Exact where the backend reports every change, which it does when there is little room. Otherwise
there may be more than it has reported, and the backend decides. Safe to use from any thread. Knows
no sessions and no HTTP.
"""

import threading
from collections.abc import Iterable

from rowcast.errors import Overloaded, full_line
from rowcast.wire import ReplyKey, Status


class Room:
    """The view of one frontend process."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._unacknowledged: dict[ReplyKey, str] = {}  # team by key
        self._counts: dict[str, int] = {}  # how many of them, by team

    @property
    def is_little(self) -> bool:
        """True if the backend reports every change."""
        return self._status is not None and self._status.little_room

    @property
    def has_unacknowledged(self) -> bool:
        """True if replies were sent that the backend has not acknowledged yet."""
        return bool(self._unacknowledged)

    def update(self, status: Status | None) -> None:
        """Note what the backend reports; None if there is no backend."""
        self._status = status

    def sent(self, keys: Iterable[ReplyKey], team: str) -> None:
        """Count submitted replies until the backend acknowledges them."""
        with self._lock:
            for key in keys:
                if key not in self._unacknowledged:
                    self._unacknowledged[key] = team
                    self._counts[team] = self._counts.get(team, 0) + 1

    def acknowledged(self, key: ReplyKey) -> None:
        """Stop counting a reply that the backend has acknowledged: its next Status includes it."""
        with self._lock:
            if (team := self._unacknowledged.pop(key, None)) is not None:
                self._counts[team] -= 1
                if not self._counts[team]:
                    del self._counts[team]

    def forget(self) -> None:
        """Forget everything sent to a backend that has ended."""
        with self._lock:
            self._unacknowledged.clear()
            self._counts.clear()

    def check(self, count: int, team: str, coming: int = 0) -> None:
        """Raise Overloaded if the backend would refuse this many more replies of a team.

        `coming`: replies of the team that will need a row before this one.
        """
        status = self._status
        if status is None or not status.little_room:
            return
        own = next((each for each in status.team_rooms if each.team == team), None)
        unacknowledged = self._counts.get(team, 0)
        room = max(0, (own.room if own else status.room) - unacknowledged - coming)
        if count <= room:
            return
        if own is not None and own.waiting < status.waiting:
            raise Overloaded(full_line(own.waiting, room, of_team=True), own.retry_after)
        free = status.rows - status.seated
        places = status.waiting + max(0, (own.room if own else status.room) - free)
        raise Overloaded(full_line(places, room), own.retry_after if own else status.retry_after)
