"""Requests and their events in one SQLite file, shared by all frontends of a server.

The file also holds background requests (`background/`), files and batches (`batches/`).

A stream is *open*, *ended* or *cancelled*. An open one may have an owner, the frontend process that
computes it: only the owner appends. A process that takes a stream from its owner, or cancels it,
leaves the owner's name in `ousted`, where the owner looks for it. An owner without a sign of life
for `LEASE_SECONDS` counts as gone. Expired streams are swept away with all they hold.

When the file is full, streams that no process computes are deleted early (`eviction.py`).
Every method may raise sqlite3.Error; each must be called in a `transaction`.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rowcast.journal.background.table import BackgroundTable
from rowcast.journal.batches.files import FileTable
from rowcast.journal.batches.table import BatchTable
from rowcast.journal.eviction import SWEEP_AT_ONCE, evict
from rowcast.journal.record import News, Record, State, SyncResult
from rowcast.journal.schema import PAGE_BYTES, open_file

LEASE_SECONDS = 3.0
BEAT_SECONDS = 1.0
BUILDS = 64  # whose recipes are stored
_FULL, _ROOM = 0.9, 0.25  # of the limit: when to delete streams early, and how much

_COLUMNS = (
    "id, team, token_id, request_id, path, body, seed, build, asks, created, key, state, owner"
)
_FIELDS = _COLUMNS.replace("asks", "prompt_digest").split(", ")  # of Record


class Clock(Protocol):
    """The source of time; the module `time` is one."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


class Journal:
    """One process's access to the file."""

    def __init__(
        self,
        path: Path,
        *,
        keep_seconds: float,
        reply_seconds: float,
        limit: int,
        result_seconds: float = 86400,
        owner: str = "",
        clock: Clock = time,
    ) -> None:
        """`keep_seconds`: after a stream's end. `reply_seconds`: the maximum until then.

        `result_seconds`: after the end of a background request.
        """
        self.path = path
        self._clock = clock
        self.owner = owner or f"{os.getpid()}-{os.urandom(4).hex()}"  # begins with its process's id
        self._keep_seconds = keep_seconds
        self._reply_seconds = reply_seconds
        self.limit = limit
        self._last_beat = -LEASE_SECONDS
        self._erased = False  # traces of deleted data are still in the log
        self._sweeping = False
        self._opened: sqlite3.Connection | None = None
        self._inode = 0
        self.background = BackgroundTable(self, result_seconds)
        self.files = FileTable(self, result_seconds)
        self.batches = BatchTable(self, self.background, self.files, result_seconds)
        self.background.batches = self.batches

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Execute the block as one transaction: all of it, or nothing."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.database.execute("COMMIT")
            self._overwrite()
        except BaseException:  # whatever ends the block, half of it must not be written
            self._last_beat = -LEASE_SECONDS
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            raise

    def begin(self, record: Record) -> None:
        """Record a request that this process computes from now on."""
        self.beat()
        values = (
            *(record.id, record.team, record.token_id, record.request_id, record.path),
            *(record.body, str(record.seed), record.build, record.prompt_digest, record.created),
            *(record.key, "open", self.owner, self._clock.time() + self._longest),
        )
        self.database.execute(
            f"INSERT INTO streams ({_COLUMNS}, expires) VALUES ({', '.join('?' * 14)})",  # noqa: S608
            values,
        )

    def claim(self, record: Record) -> tuple[Record, News] | None:
        """Record a request under its key; if the key is taken, return the request that has it."""
        found = self._one("team = ? AND key = ?", record.team, record.key)
        news = self.news(found.id) if found is not None else None
        if found is None or news is None:
            self.begin(record)
            return None
        return found, news

    def resume(self, stream: str, batch: bytes) -> News | None:
        """Return all of a stream, and take it over if it is open.

        `batch`: events of it that this process has not yet written.
        """
        if batch:
            self.append(stream, batch)
        news = self.news(stream)
        if news is not None and news.state == "open":
            self.take(stream, news.owner)
        return news

    def find(self, stream: str, team: str) -> Record | None:
        """Return the record of a team's stream."""
        return self._one("id = ? AND team = ?", stream, team)

    def take(self, stream: str, owner: str | None) -> bool:
        """Take over a stream to compute it here, if it is open and `owner` still owns it."""
        self.beat()
        return self._changed(
            "UPDATE streams SET ousted = NULLIF(owner, ?), owner = ?, expires = ? "
            "WHERE id = ? AND state = 'open' AND owner IS ?",
            *(self.owner, self.owner, self._clock.time() + self._longest, stream, owner),
        )

    def append(self, stream: str, batch: bytes) -> bool:
        """Append events to a stream; False if this process no longer owns it."""
        return self._changed(
            "INSERT INTO events (stream, batch) "
            "SELECT number, ? FROM streams WHERE id = ? AND owner = ? AND state = 'open'",
            *(batch, stream, self.owner),
        )

    def news(self, stream: str, after: int = 0) -> News | None:
        """Return what was appended after batch `after`; None if the stream is no longer kept."""
        row = self.database.execute(
            "SELECT number, state, owner FROM streams WHERE id = ?", (stream,)
        ).fetchone()
        if row is None:
            return None
        number, state, owner = row
        batches = self.database.execute(
            "SELECT number, batch FROM events WHERE stream = ? AND number > ? ORDER BY number",
            (number, after),
        ).fetchall()
        last = batches[-1][0] if batches else after
        return News(last, [batch for _, batch in batches], state, owner, self.lives(owner))

    def let_go(self, stream: str, batch: bytes, complete: bool) -> None:
        """Release a stream that has ended, or that another process may continue."""
        if batch:
            self.append(stream, batch)
        self.database.execute(
            "UPDATE streams SET state = ?, owner = NULL, ousted = NULL, expires = ? "
            "WHERE id = ? AND owner = ?",
            ("ended" if complete else "open", self._ends_at(), stream, self.owner),
        )

    def tend(
        self, batches: Sequence[tuple[str, bytes]], following: Sequence[tuple[str, int]]
    ) -> SyncResult:
        """Write this process's new events; return lost streams, and news of followed streams."""
        self.beat()
        refused = [stream for stream, batch in batches if not self.append(stream, batch)]
        ousted = self.ousted()
        taken = {stream for stream, _ in ousted}
        gone = [stream for stream in refused if stream not in taken]
        return SyncResult(ousted, gone, [self.news(*followed) for followed in following])

    def cancel(self, stream: str, team: str) -> bool:
        """Delete all of a stream except that it was cancelled; its owner learns it by `ousted`."""
        found = self.find(stream, team)
        if found is None:
            return False
        self.database.execute(
            "DELETE FROM events WHERE stream = (SELECT number FROM streams WHERE id = ?)", (stream,)
        )
        self.database.execute(
            "UPDATE streams SET state = 'cancelled', ousted = owner, owner = NULL, body = x'', "
            "expires = ? WHERE id = ?",
            (self._ends_at(), stream),
        )
        self._erased = True
        return True

    def forget(self, stream: str) -> None:
        """Delete a stream, as if it had never existed."""
        self._delete("id = ? AND owner = ?", stream, self.owner)

    def ousted(self) -> list[tuple[str, State]]:
        """Return streams that were taken from this process or cancelled; each is reported once."""
        streams: list[tuple[str, State]] = self.database.execute(
            "SELECT id, state FROM streams WHERE ousted = ?", (self.owner,)
        ).fetchall()
        if streams:
            self.database.execute(
                "UPDATE streams SET ousted = NULL WHERE ousted = ?", (self.owner,)
            )
        return streams

    def beat(self) -> None:
        """Show that this process is alive."""
        now = self._clock.monotonic()  # the same clock for all processes, and never set
        if now - self._last_beat >= BEAT_SECONDS:
            self._check_place()
            self.database.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (self.owner, now))
            self._last_beat = now

    def store_recipe(self, build: str, recipe: bytes) -> None:
        """Store how a build is loaded; the oldest recipes make room for new ones."""
        self.database.execute(
            "INSERT OR REPLACE INTO builds (name, recipe) VALUES (?, ?)", (build, recipe)
        )
        self.database.execute(
            "DELETE FROM builds WHERE number <= (SELECT MAX(number) FROM builds) - ?", (BUILDS,)
        )

    def recipe(self, build: str) -> bytes | None:
        """Return how a build is loaded; None if that is not known."""
        row = self.database.execute("SELECT recipe FROM builds WHERE name = ?", (build,)).fetchone()
        return None if row is None else bytes(row[0])

    def sweep(self) -> int:
        """Delete some expired streams; return how many."""
        parts = (self.background, self.files, self.batches)
        swept = max(self._delete("expires < ?", self._clock.time()), *(p.sweep() for p in parts))
        if self.is_nearly_full:
            swept += self._evict()
        self._erased = self._erased or swept > 0
        self._sweeping = True
        self.database.execute(
            "DELETE FROM owners WHERE beat NOT BETWEEN ? AND ?",
            (self._clock.monotonic() - 10 * LEASE_SECONDS, self._clock.monotonic() + LEASE_SECONDS),
        )
        return swept

    def make_room(self) -> bool:
        """Delete streams that no process computes, in a transaction; return whether there was one.

        If there are none, delete results of background requests or of batches.
        """
        with self.transaction():
            swept = self._evict() or self.background.evict() or self.files.evict()
            self._erased = self._sweeping = swept > 0
        return swept > 0

    def now(self) -> float:
        return self._clock.time()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def cancel_by_key(self, team: str, key: str) -> None:
        """Cancel the stream of a key, if there is one."""
        found = self._one("team = ? AND key = ?", team, key)
        if found is not None:
            self.cancel(found.id, team)

    def delete_by_key(self, team: str, key: str) -> None:
        """Delete the stream of a key, whoever computes it."""
        self._delete("team = ? AND key = ?", team, key)
        self._erased = True

    def extend_by_key(self, team: str, key: str, until: float) -> None:
        """Store the stream of a key until then."""
        self.database.execute(
            "UPDATE streams SET expires = ? WHERE team = ? AND key = ?", (until, team, key)
        )

    def note_erased(self) -> None:
        """Note that something was deleted which is still in the log."""
        self._erased = True

    @property
    def is_nearly_full(self) -> bool:
        """True if streams are deleted before they expire."""
        return self._used() > _FULL * self.limit

    @property
    def database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_file(self.path, self.limit)
            self._inode = self.path.stat().st_ino
        return self._opened

    def _check_place(self) -> None:
        """Raise if the file was removed or replaced: writes to the open one would be lost."""
        if self._opened is not None and self.path.stat().st_ino != self._inode:
            raise FileNotFoundError("the journal's file was replaced by another")

    @property
    def _longest(self) -> float:
        """The maximum seconds that an open stream is kept, whatever happens to its owner."""
        return self._reply_seconds + self._keep_seconds

    def _ends_at(self) -> float:
        """Return when a stream that ends now expires."""
        return self._clock.time() + self._keep_seconds

    def _one(self, condition: str, *values: str | None) -> Record | None:
        row = self.database.execute(
            f"SELECT {_COLUMNS} FROM streams WHERE {condition}",  # noqa: S608
            values,
        ).fetchone()
        if row is None:
            return None
        named = dict(zip(_FIELDS, row, strict=True))
        return Record(**named | {"seed": int(named["seed"])})

    def lives(self, owner: str | None) -> bool:
        """True if an owner has shown a sign of life lately."""
        if owner is None or owner == self.owner:
            return owner is not None
        row = self.database.execute("SELECT beat FROM owners WHERE name = ?", (owner,)).fetchone()
        fresh = row is not None and abs(self._clock.monotonic() - row[0]) < LEASE_SECONDS
        return fresh and _runs(int(owner.partition("-")[0]))

    def _overwrite(self) -> None:
        """Remove deleted data from the write-ahead log, too."""
        if self._erased and self._sweeping:
            self._erased = self._sweeping = False
            self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _delete(self, condition: str, *values: str | float) -> int:
        rows = self.database.execute(
            f"SELECT number FROM streams WHERE {condition} "  # noqa: S608
            f"ORDER BY expires LIMIT {SWEEP_AT_ONCE}",
            values,
        ).fetchall()
        self.database.executemany("DELETE FROM events WHERE stream = ?", rows)
        self.database.executemany("DELETE FROM streams WHERE number = ?", rows)
        return len(rows)

    def _evict(self) -> int:
        return evict(self.database, _ROOM * self.limit, SWEEP_AT_ONCE)

    def _used(self) -> int:
        (pages,) = self.database.execute("PRAGMA page_count").fetchone()
        (free,) = self.database.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * PAGE_BYTES

    def _changed(self, statement: str, *values: str | float | bytes | None) -> bool:
        return self.database.execute(statement, values).rowcount > 0


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, so it is running
    return True
