"""Batches in the journal's file: the lines of an uploaded file as background requests.

A batch ends in the transaction in which its last line ends: the results become a file, errors
another, and the lines are deleted. So it ends exactly once, whichever process has computed what.
Each method must be called in a transaction.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Protocol

from rowcast.journal.background.record import BackgroundRequest
from rowcast.journal.batches.files import FileTable
from rowcast.journal.batches.lines import line_of
from rowcast.journal.batches.record import OUTPUT, Batch, BatchPhase, StoredFile
from rowcast.journal.eviction import SWEEP_AT_ONCE
from rowcast.journal.late_table import LateTable

RESULTS = 8  # the results of one batch may take this part of the file

_STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS batches (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        team TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        input_file TEXT NOT NULL,
        window TEXT NOT NULL,
        metadata BLOB NOT NULL,
        errors BLOB NOT NULL,
        created REAL NOT NULL,
        total INTEGER NOT NULL,
        phase TEXT NOT NULL,
        cancelling REAL,
        ended REAL,
        output_file TEXT NOT NULL,
        error_file TEXT NOT NULL,
        completed INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        expires REAL,
        bytes INTEGER NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS batches_by_team ON batches (team, number)",
    "CREATE INDEX IF NOT EXISTS batches_by_end ON batches (expires) WHERE expires IS NOT NULL",
)
_FIELDS = tuple(field.name for field in fields(Batch))
_COLUMNS = ", ".join(_FIELDS)


class Lines(Protocol):
    """What the table uses of the background requests."""

    def accept(self, requests: Sequence[BackgroundRequest], most: int) -> str: ...

    def cancel_lines(self, batch: str) -> None: ...

    def has_open_lines(self, batch: str) -> bool: ...

    def lines(self, batch: str) -> list[BackgroundRequest]: ...

    def delete_lines(self, batch: str) -> None: ...


class Host(Protocol):
    """What the table uses of the journal that it is a part of."""

    limit: int

    @property
    def database(self) -> sqlite3.Connection: ...

    def now(self) -> float: ...


class BatchTable:
    """The batches of all teams."""

    def __init__(self, host: Host, lines: Lines, files: FileTable, store_seconds: float) -> None:
        self._host = host
        self._lines = lines
        self._files = files
        self._store_seconds = store_seconds
        self._table = LateTable(lambda: host.database, "batches", _STATEMENTS)

    def begin(self, batch: Batch, lines: Sequence[BackgroundRequest], most: int) -> str:
        """Queue a batch with all its lines, or nothing; return why not, or "".

        `most`: as for `BackgroundTable.accept`. A batch whose id is taken is left as it is.
        """
        self._table.add()
        if self.find(batch.id, batch.team) is not None:
            return ""
        if lines and (refusal := self._lines.accept(lines, most)):
            return refusal
        if not lines:
            batch = replace(batch, ended=batch.created, expires=self._ends_at())
        self._table.insert(_FIELDS, [[getattr(batch, name) for name in _FIELDS]])
        return ""

    def find(self, batch: str, team: str) -> Batch | None:
        """Return a team's batch."""
        found = self._batches("id = ? AND team = ?", batch, team)
        return found[0] if found else None

    def page(self, team: str, after: str, count: int) -> list[Batch]:
        """Return a team's batches, the latest first."""
        row = self._table.all("SELECT number FROM batches WHERE id = ? AND team = ?", after, team)
        return self._batches(
            "team = ? AND number < ? ORDER BY number DESC LIMIT ?",
            *(team, row[0][0] if row else 1 << 62, count),
        )

    def cancel(self, batch: str, team: str) -> Batch | None:
        """End all lines that have not ended, and with them the batch; return it."""
        found = self.find(batch, team)
        if found is not None and found.phase == "in_progress":
            self._table.all(
                "UPDATE batches SET cancelling = ? WHERE id = ?", self._host.now(), batch
            )
            self._lines.cancel_lines(batch)
            self._end(batch)
        return self.find(batch, team)

    def has_room(self, batch: str, size: int) -> bool:
        """Return whether a result of this size fits, and count it."""
        self._table.all("UPDATE batches SET bytes = bytes + ? WHERE id = ?", size, batch)
        rows = self._table.all("SELECT bytes FROM batches WHERE id = ?", batch)
        return bool(rows) and int(rows[0][0]) <= self._host.limit // RESULTS

    def line_ended(self, batch: str, *, failed: bool) -> None:
        """Count a line that has ended; end the batch with its last line."""
        column = "failed" if failed else "completed"
        self._table.all(f"UPDATE batches SET {column} = {column} + 1 WHERE id = ?", batch)  # noqa: S608
        if not self._lines.has_open_lines(batch):
            self._end(batch)

    def sweep(self) -> int:
        """Delete some batches that have expired; return how many."""
        numbers = self._table.all(
            "SELECT number FROM batches WHERE expires < ? LIMIT ?", self._host.now(), SWEEP_AT_ONCE
        )
        return self._table.delete_each(numbers)

    def _end(self, named: str) -> None:
        """Write the files of a batch, and delete its lines."""
        (batch,) = self._batches("id = ?", named)
        lines = self._lines.lines(named)
        good = [each for each in lines if each.phase == "finished"]
        bad = [each for each in lines if each.phase != "finished"]
        phase: BatchPhase = "completed" if batch.cancelling is None else "cancelled"
        self._table.all(
            "UPDATE batches SET phase = ?, ended = ?, expires = ?, output_file = ?, "
            "error_file = ? WHERE id = ?",
            *(phase, self._host.now(), self._ends_at()),
            *(self._write(batch, "output", good), self._write(batch, "error", bad), named),
        )
        self._lines.delete_lines(named)

    def _write(self, batch: Batch, name: str, lines: Sequence[BackgroundRequest]) -> str:
        """Write lines to a file, and return its id; "" if there are none."""
        if not lines:
            return ""
        content = b"".join(map(line_of, lines))
        file = StoredFile(
            id=f"file-{name}-{batch.id.removeprefix('batch_')}",
            team=batch.team,
            purpose=OUTPUT,
            filename=f"{batch.id}_{name}.jsonl",
            size=len(content),
            created=self._host.now(),
        )
        self._files.write(file, content)
        return file.id

    def _ends_at(self) -> float:
        return self._host.now() + self._store_seconds

    def _batches(self, condition: str, *values: str | float) -> list[Batch]:
        statement = f"SELECT {_COLUMNS} FROM batches WHERE {condition}"  # noqa: S608
        return [
            Batch(**dict(zip(_FIELDS, row, strict=True)))
            for row in self._table.all(statement, *values)
        ]
