"""Which background requests a process takes next: those that are due, the teams in turn.

The next one is always of the team with the fewest running requests, so a team with thousands delays
another's only request by one. A request whose process has ended is queued again.
"""

from collections.abc import Iterator
from typing import Protocol

from rowcast.journal.late_table import LateTable

LONGEST_DELAY = 60.0


class Host(Protocol):
    """What the queue uses of the journal that it is a part of."""

    owner: str

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def lives(self, owner: str | None) -> bool: ...


class Queue:
    """The queued requests of the table `background`."""

    def __init__(self, table: LateTable, host: Host) -> None:
        self._table = table
        self._host = host

    def take(self, free: int) -> list[str]:
        """Take up to `free` requests for this process; return their ids."""
        self._release_orphans()
        taken = list(self._chosen(free))
        for request in taken:
            self._table.all(
                "UPDATE background SET phase = 'running', owner = ?, reason = '', "
                "started = COALESCE(started, ?) WHERE id = ?",
                *(self._host.owner, self._host.now(), request),
            )
        return taken

    def release(self, request: str, reason: str, delay: float) -> None:
        """Queue a request again that this process does not compute any more."""
        self._table.all(
            "UPDATE background SET phase = 'queued', owner = NULL, reason = ?, due = ? "
            "WHERE id = ? AND phase = 'running' AND owner = ?",
            *(reason, self._host.monotonic() + delay, request, self._host.owner),
        )

    def _release_orphans(self) -> None:
        """Queue the requests again whose owner no longer lives."""
        owners = self._table.all("SELECT DISTINCT owner FROM background WHERE phase = 'running'")
        for (owner,) in owners:
            if not self._host.lives(owner):
                self._table.all(
                    "UPDATE background SET phase = 'queued', owner = NULL, due = 0, "
                    "deaths = deaths + 1 WHERE phase = 'running' AND owner = ?",
                    owner,
                )

    def _chosen(self, free: int) -> Iterator[str]:
        """Yield requests of the team with the fewest running ones, the oldest first."""
        running, lines = self._running(), dict[str, Iterator[str]]()
        while running and free:
            team = min(running, key=running.__getitem__)
            request = next(lines.setdefault(team, self._due(team, free)), None)
            if request is None:
                del running[team]
                continue
            running[team] += 1
            free -= 1
            yield request

    def _running(self) -> dict[str, int]:
        """Return how many requests of each team are running."""
        running = {team: 0 for (team,) in self._table.all("SELECT team FROM background_teams")}
        counts = self._table.all(
            "SELECT team, COUNT(*) FROM background WHERE phase = 'running' GROUP BY team"
        )
        return running | dict(counts)

    def _due(self, team: str, count: int) -> Iterator[str]:
        """Yield the first queued requests of a team whose delay is over, or cannot be real."""
        now = self._host.monotonic()
        rows = self._table.all(
            "SELECT id FROM background WHERE team = ? AND phase = 'queued' "
            "AND due NOT BETWEEN ? AND ? ORDER BY number LIMIT ?",
            *(team, now, now + LONGEST_DELAY, count),
        )
        return (request for (request,) in rows)
