"""The journal's tables, and how its file is opened.

Only the owner can access the file and its folder. Deleted data is overwritten. In WAL mode with
synchronous=NORMAL a commit survives the end of every process; only a power failure may lose the
last ones, whole commits at a time and never out of order.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

VERSION = 1  # unchanged by additions to the tables: older processes may still write the file
PAGE_BYTES = 4096
BUSY_SECONDS = 1.0  # how long another process may hold the lock before the journal fails

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
# What each team holds: the bytes of its bodies and events, counted by the file itself. Events of a
# stream are deleted before the stream is.
_TEAMS = (
    "CREATE TABLE teams (team TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX streams_by_team ON streams (team)",
    "CREATE INDEX streams_to_give ON streams (team, expires) WHERE owner IS NULL",
    """CREATE TRIGGER stream_in AFTER INSERT ON streams BEGIN
        INSERT INTO teams VALUES (NEW.team, LENGTH(NEW.body))
        ON CONFLICT (team) DO UPDATE SET bytes = bytes + excluded.bytes;
    END""",
    """CREATE TRIGGER stream_changed AFTER UPDATE OF body ON streams BEGIN
        UPDATE teams SET bytes = bytes + LENGTH(NEW.body) - LENGTH(OLD.body)
        WHERE team = NEW.team;
    END""",
    """CREATE TRIGGER stream_out AFTER DELETE ON streams BEGIN
        UPDATE teams SET bytes = bytes - LENGTH(OLD.body) WHERE team = OLD.team;
        DELETE FROM teams WHERE team = OLD.team
        AND NOT EXISTS (SELECT 1 FROM streams WHERE team = OLD.team);
    END""",
    """CREATE TRIGGER event_in AFTER INSERT ON events BEGIN
        UPDATE teams SET bytes = bytes + LENGTH(NEW.batch)
        WHERE team = (SELECT team FROM streams WHERE number = NEW.stream);
    END""",
    """CREATE TRIGGER event_out AFTER DELETE ON events BEGIN
        UPDATE teams SET bytes = bytes - LENGTH(OLD.batch)
        WHERE team = (SELECT team FROM streams WHERE number = OLD.stream);
    END""",
    """INSERT INTO teams SELECT team, SUM(LENGTH(body) + (
        SELECT COALESCE(SUM(LENGTH(batch)), 0) FROM events WHERE stream = streams.number
    )) FROM streams GROUP BY team""",
)

# How builds are loaded again, for streams that were begun by one that is no longer served.
_BUILDS = """CREATE TABLE IF NOT EXISTS builds (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, recipe BLOB NOT NULL
)"""


def open_file(path: Path, limit: int) -> sqlite3.Connection:
    """Open the journal's file, creating it if necessary. Raises sqlite3.Error or OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _to_wal(database)
        _prepare(database, limit)
    except BaseException:  # the caller never gets it, so nobody else would close it
        database.close()
        raise
    return database


def _to_wal(database: sqlite3.Connection) -> None:
    """Switch to WAL mode.

    Retries, because two processes that create the file at once disturb each other, and SQLite does
    not wait here.
    """
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
        raise sqlite3.DatabaseError(
            f"it has version {version}; this server needs version {VERSION}"
        )
    if version != VERSION:
        database.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
    if not _counts_teams(database):
        _count_teams(database)
    database.execute(_BUILDS)


def _counts_teams(database: sqlite3.Connection) -> bool:
    found = database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'teams'").fetchone()
    return found is not None


def _count_teams(database: sqlite3.Connection) -> None:
    """Add the count to a new file, or to one of an older release."""
    database.execute("BEGIN IMMEDIATE")
    with database:  # commits, or rolls back
        if not _counts_teams(database):  # another process may have been faster
            for statement in _TEAMS:
                database.execute(statement)
