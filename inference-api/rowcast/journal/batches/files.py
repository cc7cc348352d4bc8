"""Files in the journal's file: uploaded by a team, or written by a batch, for a limited time.

Uploaded files may take a part of the journal's file together, and those of one team half of it.
Files that batches write are always stored, and make room like other results. Each method must be
called in a transaction.
"""

import sqlite3
from dataclasses import fields, replace
from typing import Literal, Protocol

from rowcast.journal.batches.record import OUTPUT, StoredFile
from rowcast.journal.eviction import SWEEP_AT_ONCE
from rowcast.journal.late_table import LateTable

Order = Literal["asc", "desc"]

PART = 4  # uploads may take this part of the file

_STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS files (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        team TEXT NOT NULL,
        purpose TEXT NOT NULL,
        filename TEXT NOT NULL,
        size INTEGER NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        content BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS files_by_team ON files (team, number)",
    "CREATE INDEX IF NOT EXISTS files_by_end ON files (expires)",
)
_FIELDS = tuple(field.name for field in fields(StoredFile))
_COLUMNS = ", ".join(_FIELDS)


class Host(Protocol):
    """What the table uses of the journal that it is a part of."""

    limit: int

    @property
    def database(self) -> sqlite3.Connection: ...

    def now(self) -> float: ...

    def note_erased(self) -> None: ...


class FileTable:
    """The files of all teams."""

    def __init__(self, host: Host, store_seconds: float) -> None:
        self._host = host
        self._store_seconds = store_seconds
        self._table = LateTable(lambda: host.database, "files", _STATEMENTS)

    def add(self, file: StoredFile, content: bytes) -> str:
        """Store an uploaded file; return why not, or "" once it is stored."""
        self._table.add()
        room = self._host.limit // PART
        total, mine = self._table.all(
            "SELECT COALESCE(SUM(size), 0), COALESCE(SUM(size) FILTER (WHERE team = ?), 0) "
            "FROM files WHERE purpose != ?",
            *(file.team, OUTPUT),
        )[0]
        if total + file.size > room or mine + file.size > room // 2:
            return (
                "the stored files have filled their part of the journal (a quarter of "
                "JOURNAL_BYTES, of which one team gets half); delete files that are not needed"
            )
        self.write(file, content)
        return ""

    def write(self, file: StoredFile, content: bytes) -> None:
        """Store a file whatever its size."""
        self._table.add()
        stored = replace(file, expires=self._host.now() + self._store_seconds)
        row = (*(getattr(stored, name) for name in _FIELDS), content)
        self._table.insert((*_FIELDS, "content"), [row])

    def find(self, file: str, team: str) -> StoredFile | None:
        """Return a team's file."""
        found = self._files("id = ? AND team = ?", file, team)
        return found[0] if found else None

    def part(self, file: str, team: str, start: int, count: int) -> bytes | None:
        """Return some bytes of a file; None if there is no such file."""
        rows = self._table.all(
            "SELECT SUBSTR(content, ?, ?) FROM files WHERE id = ? AND team = ?",
            *(start + 1, count, file, team),
        )
        return bytes(rows[0][0]) if rows else None

    def page(
        self, team: str, purpose: str, after: str, count: int, order: Order = "desc"
    ) -> list[StoredFile]:
        """Return a team's files. `after`: the id of the last one of the page before."""
        beyond, edge = ("<", 1 << 62) if order == "desc" else (">", 0)
        row = self._table.all("SELECT number FROM files WHERE id = ? AND team = ?", after, team)
        return self._files(
            f"team = ? AND purpose LIKE ? AND number {beyond} ? ORDER BY number {order} LIMIT ?",
            *(team, purpose or "%", row[0][0] if row else edge, count),
        )

    def delete(self, file: str, team: str) -> bool:
        """Delete a team's file; return whether there was one."""
        found = self.find(file, team) is not None
        self._table.all("DELETE FROM files WHERE id = ? AND team = ?", file, team)
        self._host.note_erased()
        return found

    def sweep(self) -> int:
        """Delete some files that have expired; return how many."""
        return self._delete("expires < ?", self._host.now())

    def evict(self) -> int:
        """Delete some files that batches have written, those that expire first."""
        return self._delete("purpose = ?", OUTPUT)

    def _delete(self, condition: str, value: float | str) -> int:
        numbers = self._table.all(
            f"SELECT number FROM files WHERE {condition} ORDER BY expires LIMIT ?",  # noqa: S608
            *(value, SWEEP_AT_ONCE),
        )
        return self._table.delete_each(numbers)

    def _files(self, condition: str, *values: str | float) -> list[StoredFile]:
        rows = self._table.all(f"SELECT {_COLUMNS} FROM files WHERE {condition}", *values)  # noqa: S608
        return [StoredFile(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
