"""Which background requests a process takes next: those that are due, the teams in turn.

The next one is always of the team with the fewest running rows, so a team with thousands delays
another's only request by one. A request that needs more rows than are free is not passed by others;
one that needs more than there are is computed alone. A request whose process has ended is queued
again.
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
        """Take requests for up to `free` rows of this process; return their ids."""
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
        """Yield requests of the team with the fewest running rows, the oldest first."""
        running, lines = self._running(), dict[str, Iterator[tuple[str, int]]]()
        idle = not self._owns_any()
        while running and free > 0:
            team = min(running, key=running.__getitem__)
            found = next(lines.setdefault(team, self._due(team, free)), None)
            if found is None:
                del running[team]
                continue
            request, rows = found
            if rows > free and not idle:
                return
            running[team] += rows
            free -= rows
            idle = False
            yield request

    def _owns_any(self) -> bool:
        """True if this process computes a request."""
        found = self._table.one(
            "SELECT 1 FROM background WHERE phase = 'running' AND owner = ? LIMIT 1",
            self._host.owner,
        )
        return found is not None

    def _running(self) -> dict[str, int]:
        """Return how many rows the running requests of each team take."""
        running = {team: 0 for (team,) in self._table.all("SELECT team FROM background_teams")}
        counts = self._table.all(
            "SELECT team, SUM(rows) FROM background WHERE phase = 'running' GROUP BY team"
        )
        return running | dict(counts)

    def _due(self, team: str, count: int) -> Iterator[tuple[str, int]]:
        """Yield the first queued requests of a team, with their rows, whose delay is over.

        A delay that cannot be real is over.
        """
        now = self._host.monotonic()
        rows = self._table.all(
            "SELECT id, rows FROM background WHERE team = ? AND phase = 'queued' "
            "AND due NOT BETWEEN ? AND ? ORDER BY number LIMIT ?",
            *(team, now, now + LONGEST_DELAY, count),
        )
        return ((request, taken) for request, taken in rows)
