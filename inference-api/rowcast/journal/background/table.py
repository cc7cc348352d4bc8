"""The operations on background requests.

A running request has an owner, the frontend process that computes it. If the owner no longer lives,
the request is queued again, and the next process that looks takes it. Only the owner can store its
result, so it has one, even if another process has computed the same. Its tokens are in the stream
with its key. A request that has not ended is never deleted, whatever the clock shows and however
full the file is. Like `Journal`'s, each method must be called in a transaction.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol

from rowcast.journal.background.queue import Queue
from rowcast.journal.background.record import KEY_PREFIX, BackgroundNews, BackgroundRequest, Phase
from rowcast.journal.background.schema import ADDED, STATEMENTS
from rowcast.journal.eviction import SWEEP_AT_ONCE
from rowcast.journal.late_table import LateTable

DEATHS = 100  # owners that may end while they compute a request; few end because of it
PART = 4  # requests that have not ended may take this part of the file; one team half of it
FAILED_BY_DEATHS = (
    b'{"message":"the process that computed this request ended each time","status_code":500}\n'
)
_TOO_FULL = (
    b'{"message":"the journal has no room for the result; delete what is no longer needed, or '
    b'raise JOURNAL_BYTES","status_code":507}\n'
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


class Batches(Protocol):
    """What the table uses of the batches, whose lines are background requests."""

    def has_room(self, batch: str, size: int) -> bool: ...

    def line_ended(self, batch: str, *, failed: bool) -> None: ...


class BackgroundTable:
    """The background requests of all frontends of a server."""

    batches: Batches  # set by the journal

    def __init__(self, host: Host, store_seconds: float) -> None:
        """`store_seconds`: how long a request is stored after its end."""
        self._host = host
        self._store_seconds = store_seconds
        self._table = LateTable(lambda: host.database, "background", STATEMENTS, ADDED)
        self._queue = Queue(self._table, host)

    def accept(self, requests: Sequence[BackgroundRequest], most: int) -> str:
        """Queue requests of one team, all or none; return why not, or "" once they are accepted.

        `most`: how many requests of a team may wait for their end. One whose id is taken is left as
        it is.
        """
        self._table.add()
        refusal = self._refusal(requests, most)
        if not refusal:
            rows = ([getattr(each, name) for name in _FIELDS] for each in requests)
            self._table.insert(_FIELDS, rows)
        return refusal

    def look(self, free: int, watched: Sequence[str]) -> BackgroundNews:
        """Take queued requests for up to `free` rows; return them, with what has changed."""
        if not self._table.is_there:
            return BackgroundNews(frozenset(), [], {}, 0)
        (waiting,) = self._table.all("SELECT COALESCE(SUM(waiting), 0) FROM background_teams")[0]
        taken: list[BackgroundRequest] = []
        if waiting:
            taken = self._taken(free)
        mine = self._table.all(
            "SELECT id FROM background WHERE phase = 'running' AND owner = ?", self._host.owner
        )
        if mine:
            self._host.beat()
        phases = dict(filter(None, map(self._phase, watched)))
        return BackgroundNews(frozenset(each for (each,) in mine), taken, phases, waiting)

    def open_counts(self) -> dict[Phase, int]:
        """Return how many requests wait and how many are computed, of all teams."""
        if not self._table.is_there:
            return {"queued": 0, "running": 0}
        ((queued, running),) = self._table.all(
            "SELECT (SELECT COUNT(*) FROM background WHERE phase = 'queued'),"
            " (SELECT COUNT(*) FROM background WHERE phase = 'running')"
        )
        return {"queued": queued, "running": running}

    def release(self, request: str, reason: str, delay: float) -> None:
        """Queue a request again that this process does not compute any more."""
        self._queue.release(request, reason, delay)

    def restart(self, request: str, team: str) -> None:
        """Queue a request again, and delete what was computed of it."""
        self._host.delete_by_key(team, f"{KEY_PREFIX}{request}")
        self.release(request, "", 0)

    def finish(self, request: str, status: int, result: bytes) -> bool:
        """Store the result of a request; False if this process no longer computes it."""
        found = self._find("id = ? AND phase = 'running' AND owner = ?", request, self._host.owner)
        if found is None:
            return False
        if not self._has_room(found, len(result)):
            status, result = 507, _TOO_FULL
        phase: Phase = "finished" if status < 400 else "failed"
        self._end(found, phase, status, result)
        if found.batch:
            self.batches.line_ended(found.batch, failed=phase == "failed")
        return True

    def cancel(self, request: str, team: str) -> BackgroundRequest | None:
        """End a request if it has not ended; return it afterwards."""
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
        self._table.all("DELETE FROM background WHERE id = ?", request)
        self._host.note_erased()
        return True

    def find(self, request: str, team: str) -> BackgroundRequest | None:
        """Return a team's request."""
        return self._find("id = ? AND team = ?", request, team)

    def page(self, team: str, kind: str, before: str, count: int) -> list[BackgroundRequest]:
        """Return a team's requests, the latest first, without bodies and results.

        `before`: the id of the last one of the page before; "" for the first page.
        """
        last = self._table.one(
            "SELECT number FROM background WHERE id = ? AND team = ?", before, team
        )
        rows = self._table.all(
            f"SELECT {', '.join(_LISTED)} FROM background "  # noqa: S608
            "WHERE team = ? AND kind = ? AND batch = '' AND number < ? "
            "ORDER BY number DESC LIMIT ?",
            *(team, kind, last[0] if last else 1 << 62, count),
        )
        return [_request(_LISTED, row) for row in rows]

    def lines(self, batch: str) -> list[BackgroundRequest]:
        """Return the lines of a batch, in their order, without bodies."""
        columns = ", ".join(name for name in _FIELDS if name != "body")
        rows = self._table.all(
            f"SELECT {columns} FROM background WHERE batch = ? ORDER BY number",  # noqa: S608
            batch,
        )
        return [_request(columns.split(", "), row) for row in rows]

    def has_open_lines(self, batch: str) -> bool:
        """True if a line of a batch has not ended."""
        return bool(
            self._table.one(f"SELECT 1 FROM background WHERE batch = ? AND {_OPEN} LIMIT 1", batch)  # noqa: S608
        )

    def cancel_lines(self, batch: str) -> None:
        """End the lines of a batch that have not ended, also those that are being computed."""
        begun = self._table.all(
            f"SELECT id, team FROM background WHERE batch = ? AND started IS NOT NULL AND {_OPEN}",  # noqa: S608
            batch,
        )
        for request, team in begun:
            self.cancel(request, team)
        self._table.all(
            "UPDATE background SET phase = 'cancelled', body = x'', ended = ? "
            "WHERE batch = ? AND phase = 'queued'",
            *(self._host.now(), batch),
        )

    def delete_lines(self, batch: str) -> None:
        """Delete the lines of a batch, all of which have ended."""
        self._table.all("DELETE FROM background WHERE batch = ?", batch)
        self._host.note_erased()

    def sweep(self) -> int:
        """Delete some requests that have expired, not lines of a batch; return how many."""
        return self._delete("expires < ? AND batch = ''", self._host.now())

    def evict(self) -> int:
        """Delete some requests that have ended, those that expire first; return how many."""
        return self._delete("expires < ? AND batch = ''", float("inf"))

    def _has_room(self, found: BackgroundRequest, size: int) -> bool:
        if self._host.is_nearly_full:
            self.evict()
        full = self._host.is_nearly_full
        return not full and (not found.batch or self.batches.has_room(found.batch, size))

    def _refusal(self, requests: Sequence[BackgroundRequest], most: int) -> str:
        team, size = requests[0].team, sum(len(each.body) for each in requests)
        (total,) = self._table.all("SELECT COALESCE(SUM(bytes), 0) FROM background_teams")[0]
        waiting, mine = self._table.one(
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

    def _taken(self, free: int) -> list[BackgroundRequest]:
        """Take requests; end those whose owners have ended too often."""
        taken = []
        for request in self._queue.take(free):
            if self._find("id = ? AND deaths >= ?", request, DEATHS) is not None:
                self.finish(request, 500, FAILED_BY_DEATHS)
            elif (found := self._find("id = ?", request)) is not None:
                taken.append(found)
        return taken

    def _end(self, found: BackgroundRequest, phase: Phase, status: int, result: bytes) -> None:
        """End a request. Its prompt goes with it, unless a response shows it to its owner."""
        now = self._host.now()
        expires = now + self._store_seconds
        streamed = found.streamed and phase == "finished"
        body = found.body if found.streamed else b""
        self._table.all(
            "UPDATE background SET phase = ?, status = ?, result = ?, body = ?, owner = NULL, "
            "reason = '', ended = ?, expires = ? WHERE id = ?",
            *(phase, status, result, body, now, expires, found.id),
        )
        if streamed:
            self._host.extend_by_key(found.team, found.key, expires)
        elif phase != "cancelled":
            self._host.delete_by_key(found.team, found.key)
        self._host.note_erased()

    def _phase(self, request: str) -> tuple[str, Phase] | None:
        row = self._table.one("SELECT id, phase FROM background WHERE id = ?", request)
        return (row[0], row[1]) if row else None

    def _find(self, condition: str, *values: str | int) -> BackgroundRequest | None:
        row = self._table.one(
            f"SELECT {', '.join(_FIELDS)} FROM background WHERE {condition}",  # noqa: S608
            *values,
        )
        return _request(_FIELDS, row) if row else None

    def _delete(self, condition: str, value: float) -> int:
        rows = self._table.all(
            f"SELECT number, team, id FROM background WHERE {condition} "  # noqa: S608
            f"ORDER BY expires LIMIT {SWEEP_AT_ONCE}",
            value,
        )
        for _, team, request in rows:
            self._host.delete_by_key(team, f"{KEY_PREFIX}{request}")
        return self._table.delete_each(rows)


def _request(names: Sequence[str], row: Sequence[Any]) -> BackgroundRequest:
    named = {"body": b"", **dict(zip(names, row, strict=True))}
    return BackgroundRequest(**named | {"streamed": bool(named["streamed"])})
