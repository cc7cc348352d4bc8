"""A table that the journal's file gets with its first row, so that it takes no room before.

Until then it reads as empty, and statements change nothing.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Row = tuple[Any, ...]
Value = str | float | bytes | None


class LateTable:
    """One table with its indexes and triggers."""

    def __init__(
        self,
        database: Callable[[], sqlite3.Connection],
        name: str,
        statements: Sequence[str],
        added: Mapping[str, str] | None = None,
    ) -> None:
        """`database()`: the one that is open now. `statements` create the table.

        `added`: columns, with their types, that the table of an older release lacks.
        """
        self._database = database
        self._name = name
        self._statements = statements
        self._added = added or {}
        self._complete: sqlite3.Connection | None = None  # whose table has these columns

    @property
    def is_there(self) -> bool:
        """True if the file has the table."""
        found = self._database().execute(
            "SELECT 1 FROM sqlite_schema WHERE name = ?", (self._name,)
        )
        there = found.fetchone() is not None
        if there and self._complete is not self._database():
            self._add_columns()
        return there

    def _add_columns(self) -> None:
        """Add the columns that the table lacks; an older process can still write it."""
        database = self._database()
        known = {name for _, name, *_ in database.execute(f"PRAGMA table_info({self._name})")}
        for name in self._added.keys() - known:
            database.execute(f"ALTER TABLE {self._name} ADD COLUMN {name} {self._added[name]}")
        self._complete = database

    def add(self) -> None:
        """Add the table, in the open transaction."""
        if not self.is_there:
            for statement in self._statements:
                self._database().execute(statement)

    def insert(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows; one whose id is taken is left as it is."""
        marks = ", ".join("?" * len(columns))
        self._database().executemany(
            f"INSERT OR IGNORE INTO {self._name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            rows,
        )

    def all(self, statement: str, *values: Value) -> list[Row]:
        """Execute a statement, and return all its rows."""
        return self._database().execute(statement, values).fetchall() if self.is_there else []

    def one(self, statement: str, *values: Value) -> Row | None:
        """Execute a statement, and return its first row."""
        rows = self.all(statement, *values)
        return rows[0] if rows else None

    def delete_each(self, rows: Sequence[Row]) -> int:
        """Delete the rows whose number is the first value of each of these; return how many."""
        for number, *_ in rows:
            self.all(f"DELETE FROM {self._name} WHERE number = ?", number)  # noqa: S608
        return len(rows)
