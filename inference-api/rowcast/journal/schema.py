"""The journal's tables, and how its file is opened.

The file and its folder are their owner's alone. What is deleted is overwritten. In WAL mode with
synchronous=NORMAL a commit survives the end of every process; only a power cut may take the last
ones, whole commits at a time and never the order.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

VERSION = 1
PAGE_BYTES = 4096
BUSY_SECONDS = 1.0  # how long another process may hold the lock before the journal counts as ill

_TABLES = """
CREATE TABLE IF NOT EXISTS streams (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    team TEXT NOT NULL,
    token_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    path TEXT NOT NULL,
    body BLOB NOT NULL,
    seed TEXT NOT NULL,
    build TEXT NOT NULL,
    asks BLOB NOT NULL,
    created REAL NOT NULL,
    key TEXT,
    state TEXT NOT NULL,
    owner TEXT,
    ousted TEXT,
    expires REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS streams_by_key ON streams (team, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS streams_by_end ON streams (expires);
CREATE INDEX IF NOT EXISTS streams_ousted ON streams (ousted) WHERE ousted IS NOT NULL;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    batch BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_stream ON events (stream);
CREATE TABLE IF NOT EXISTS owners (name TEXT PRIMARY KEY, beat REAL NOT NULL) WITHOUT ROWID;
"""


def open_file(path: Path, limit: int) -> sqlite3.Connection:
    """The journal's file, made if it is not there. Raises sqlite3.Error or OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _to_wal(database)
        _prepare(database, limit)
    except BaseException:
        database.close()
        raise
    return database


def _to_wal(database: sqlite3.Connection) -> None:
    """Two that make the file at once are in each other's way, and SQLite does not wait here."""
    database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _prepare(database: sqlite3.Connection, limit: int) -> None:
    for setting in (
        "synchronous = NORMAL",
        "secure_delete = ON",
        f"max_page_count = {max(64, limit // PAGE_BYTES)}",
        f"journal_size_limit = {16 << 20}",
    ):
        database.execute(f"PRAGMA {setting}")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"it is of version {version}, which is not ours ({VERSION})")
    if version != VERSION:
        database.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
