"""The background requests in the journal's file: accepted, taken by one process, ended once.

A running request has an owner, the frontend process that computes it. If the owner no longer lives,
the request is queued again, and the next process that looks takes it. Only the owner can end it, so
it has one result, whoever else has computed the same. Its tokens are in the stream whose key is its
own. A request that has not ended is never deleted, whatever the clock shows and however full the
file is. Like `Journal`'s, each method must be called in a transaction.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Protocol

from rowcast.journal.background_record import (
    KEY_PREFIX,
    BackgroundNews,
    BackgroundRequest,
    Phase,
)
from rowcast.journal.background_schema import add_background, has_background
from rowcast.journal.eviction import SWEEP_AT_ONCE

DEATHS = 100  # owners that may end while they compute a request, most of them innocently
LONGEST_DELAY = 60.0
PART = 4  # requests that have not ended may take this part of the file; one team half of it
FAILED_BY_DEATHS = (
    b'{"message":"the process that computed this request ended each time","status_code":500}\n'
)

_FIELDS = tuple(field.name for field in fields(BackgroundRequest))
_LISTED = tuple(name for name in _FIELDS if name not in {"body", "result"})
_OPEN = "phase IN ('queued', 'running')"


class Host(Protocol):
    """What the table uses of the journal that it is a part of."""

    owner: str
    limit: int

    @property
    def database(self) -> sqlite3.Connection: ...

    @property
    def is_nearly_full(self) -> bool: ...

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def beat(self) -> None: ...

    def lives(self, owner: str | None) -> bool: ...

    def cancel_by_key(self, team: str, key: str) -> None: ...

    def delete_by_key(self, team: str, key: str) -> None: ...

    def extend_by_key(self, team: str, key: str, until: float) -> None: ...

    def note_erased(self) -> None: ...


class BackgroundTable:
    """The background requests of all frontends of a server."""

    def __init__(self, host: Host, store_seconds: float) -> None:
        """`store_seconds`: how long a request is stored after its end."""
        self._host = host
        self._store_seconds = store_seconds

    def accept(self, requests: Sequence[BackgroundRequest], most: int) -> str:
        """Queue requests of one team, all or none; return why not, or "" once they are accepted.

        `most`: how many requests of a team may wait for their end. One whose id is taken is left as
        it is.
        """
        if not self._is_there:
            add_background(self._database)
        refusal = self._refusal(requests, most)
        if not refusal:
            columns, marks = ", ".join(_FIELDS), ", ".join("?" * len(_FIELDS))
            self._database.executemany(
                f"INSERT OR IGNORE INTO background ({columns}) VALUES ({marks})",  # noqa: S608
                ([getattr(each, name) for name in _FIELDS] for each in requests),
            )
        return refusal

    def look(self, free: int, watched: Sequence[str]) -> BackgroundNews:
        """Take up to `free` queued requests; return them, with what has changed."""
        if not self._is_there:
            return BackgroundNews(frozenset(), [], {}, 0)
        (waiting,) = self._all("SELECT COALESCE(SUM(waiting), 0) FROM background_teams")[0]
        taken: list[BackgroundRequest] = []
        if waiting:
            self._release_orphans()
            taken = self._take(free)
        mine = self._all(
            "SELECT id FROM background WHERE phase = 'running' AND owner = ?", self._host.owner
        )
        if mine:
            self._host.beat()
        phases = dict(filter(None, map(self._phase, watched)))
        return BackgroundNews(frozenset(each for (each,) in mine), taken, phases, waiting)

    def release(self, request: str, reason: str, delay: float) -> None:
        """Queue a request again that this process does not compute any more."""
        self._all(
            "UPDATE background SET phase = 'queued', owner = NULL, reason = ?, due = ? "
            "WHERE id = ? AND phase = 'running' AND owner = ?",
            *(reason, self._host.monotonic() + delay, request, self._host.owner),
        )

    def restart(self, request: str, team: str) -> None:
        """Queue a request again, and forget what was computed of it."""
        self._host.delete_by_key(team, f"{KEY_PREFIX}{request}")
        self.release(request, "", 0)

    def finish(self, request: str, status: int, result: bytes) -> bool:
        """Store the result of a request; False if this process no longer computes it."""
        found = self._find("id = ? AND phase = 'running' AND owner = ?", request, self._host.owner)
        if found is None:
            return False
        if self._host.is_nearly_full:
            status, result = 507, _too_full()
        phase: Phase = "finished" if status < 400 else "failed"
        self._end(found, phase, status, result)
        return True

    def cancel(self, request: str, team: str) -> BackgroundRequest | None:
        """End a request if it has not ended; return it as it is then."""
        found = self.find(request, team)
        if found is None or found.has_ended:
            return found
        self._host.cancel_by_key(team, found.key)
        self._end(found, "cancelled", 0, b"")
        return self.find(request, team)

    def delete(self, request: str, team: str) -> bool:
        """Delete a request with all that was computed of it; return whether there was one."""
        found = self.cancel(request, team)
        if found is None:
            return False
        if found.streamed:
            self._host.delete_by_key(team, found.key)
        self._database.execute("DELETE FROM background WHERE id = ?", (request,))
        self._host.note_erased()
        return True

    def find(self, request: str, team: str) -> BackgroundRequest | None:
        """Return a team's request."""
        return self._find("id = ? AND team = ?", request, team)

    def page(self, team: str, kind: str, before: str, count: int) -> list[BackgroundRequest]:
        """Return a team's requests, the latest first, without bodies and results.

        `before`: the id of the last one of the page before; "" for the first page.
        """
        number = self._one("SELECT number FROM background WHERE id = ? AND team = ?", before, team)
        rows = self._all(
            f"SELECT {', '.join(_LISTED)} FROM background "  # noqa: S608
            "WHERE team = ? AND kind = ? AND batch = '' AND number < ? "
            "ORDER BY number DESC LIMIT ?",
            *(team, kind, number[0] if number else 1 << 62, count),
        )
        return [_request(_LISTED, row) for row in rows]

    def sweep(self) -> int:
        """Delete some requests that have expired; return how many."""
        return self._delete("expires < ?", self._host.now())

    def evict(self) -> int:
        """Delete some requests that have ended, those that expire first; return how many."""
        return self._delete("expires < ? AND batch = ''", float("inf"))

    @property
    def _database(self) -> sqlite3.Connection:
        return self._host.database

    @property
    def _is_there(self) -> bool:
        """True if the file has the tables."""
        return has_background(self._database)

    def _refusal(self, requests: Sequence[BackgroundRequest], most: int) -> str:
        team, size = requests[0].team, sum(len(each.body) for each in requests)
        (total,) = self._all("SELECT COALESCE(SUM(bytes), 0) FROM background_teams")[0]
        waiting, mine = self._one(
            "SELECT waiting, bytes FROM background_teams WHERE team = ?", team
        ) or (0, 0)
        if waiting + len(requests) > most:
            return (
                f"{waiting} background requests of your team have not ended, and {most} may be "
                "there at once (BACKGROUND_REQUESTS); send more when some have ended"
            )
        room = self._host.limit // PART
        if total + size > room or mine + size > room // 2:
            return (
                "the background requests that wait have filled their part of the journal "
                "(a quarter of JOURNAL_BYTES, of which one team gets half); send more when some "
                "have ended"
            )
        return ""

    def _release_orphans(self) -> None:
        """Queue the requests again whose owner no longer lives."""
        owners = self._all("SELECT DISTINCT owner FROM background WHERE phase = 'running'")
        for (owner,) in owners:
            if not self._host.lives(owner):
                self._database.execute(
                    "UPDATE background SET phase = 'queued', owner = NULL, due = 0, "
                    "deaths = deaths + 1 WHERE phase = 'running' AND owner = ?",
                    (owner,),
                )

    def _take(self, free: int) -> list[BackgroundRequest]:
        """Take queued requests: of the team of which fewest are running, the oldest first."""
        running = {team: 0 for (team,) in self._all("SELECT team FROM background_teams")}
        running |= dict(
            self._all("SELECT team, COUNT(*) FROM background WHERE phase = 'running' GROUP BY team")
        )
        taken: list[BackgroundRequest] = []
        while running and len(taken) < free:
            team = min(running, key=running.__getitem__)
            if (found := self._next(team)) is None:
                del running[team]
                continue
            running[team] += 1
            taken += self._own(found)
        return taken

    def _next(self, team: str) -> str | None:
        """Return the id of a team's next request."""
        now = self._host.monotonic()
        row = self._one(
            "SELECT id FROM background WHERE team = ? AND phase = 'queued' "
            "AND due NOT BETWEEN ? AND ? ORDER BY number LIMIT 1",
            *(team, now, now + LONGEST_DELAY),
        )
        return row[0] if row else None

    def _own(self, request: str) -> Iterable[BackgroundRequest]:
        """Take a request, or end it if it seems to end the processes that compute it."""
        self._database.execute(
            "UPDATE background SET phase = 'running', owner = ?, reason = '', "
            "started = COALESCE(started, ?) WHERE id = ?",
            (self._host.owner, self._host.now(), request),
        )
        if self._one("SELECT 1 FROM background WHERE id = ? AND deaths >= ?", request, DEATHS):
            self.finish(request, 500, FAILED_BY_DEATHS)
            return
        if (found := self._find("id = ?", request)) is not None:
            yield found

    def _end(self, found: BackgroundRequest, phase: Phase, status: int, result: bytes) -> None:
        """End a request. Its prompt goes with it, unless its stream may still be read."""
        now = self._host.now()
        expires = now + self._store_seconds
        streamed = found.streamed and phase == "finished"
        self._database.execute(
            "UPDATE background SET phase = ?, status = ?, result = ?, body = ?, owner = NULL, "
            "reason = '', ended = ?, expires = ? WHERE id = ?",
            (phase, status, result, found.body if streamed else b"", now, expires, found.id),
        )
        if streamed:
            self._host.extend_by_key(found.team, found.key, expires)
        elif phase != "cancelled":
            self._host.delete_by_key(found.team, found.key)
        self._host.note_erased()

    def _phase(self, request: str) -> tuple[str, Phase] | None:
        row = self._one("SELECT id, phase FROM background WHERE id = ?", request)
        return (row[0], row[1]) if row else None

    def _find(self, condition: str, *values: str) -> BackgroundRequest | None:
        row = self._one(
            f"SELECT {', '.join(_FIELDS)} FROM background WHERE {condition}",  # noqa: S608
            *values,
        )
        return _request(_FIELDS, row) if row else None

    def _delete(self, condition: str, value: float) -> int:
        rows = self._all(
            f"SELECT number, team, id FROM background WHERE {condition} "  # noqa: S608
            f"ORDER BY expires LIMIT {SWEEP_AT_ONCE}",
            value,
        )
        for number, team, request in rows:
            self._host.delete_by_key(team, f"{KEY_PREFIX}{request}")
            self._database.execute("DELETE FROM background WHERE number = ?", (number,))
        return len(rows)

    def _one(self, statement: str, *values: str | float) -> tuple[Any, ...] | None:
        rows = self._all(statement, *values)
        return rows[0] if rows else None

    def _all(self, statement: str, *values: str | float) -> list[tuple[Any, ...]]:
        """Return all rows; none of a file without the tables."""
        return self._database.execute(statement, values).fetchall() if self._is_there else []


def _request(names: Sequence[str], row: Sequence[Any]) -> BackgroundRequest:
    named = {"body": b"", **dict(zip(names, row, strict=True))}
    return BackgroundRequest(**named | {"streamed": bool(named["streamed"])})


def _too_full() -> bytes:
    return (
        b'{"message":"the journal has no room for the result; delete what is no longer needed, or '
        b'raise JOURNAL_BYTES","status_code":507}\n'
    )
