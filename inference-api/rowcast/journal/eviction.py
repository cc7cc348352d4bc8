"""Makes room in a full journal: which streams are deleted before they expire.

Streams that no process computes are deleted: those of the team that holds most, oldest first. A
team that holds less than an equal part of all loses nothing to others. What a team holds is
counted in bytes of bodies and events, by the file itself (see `schema.py`).
"""

import sqlite3

SWEEP_AT_ONCE = 200

Stream = tuple[int, int]  # its number and its bytes


def evict(database: sqlite3.Connection, needed: float, limit: int) -> int:
    """Delete streams until `needed` bytes are free, at most `limit` of them; return how many."""
    freed = count = 0
    while freed < needed and count < limit:
        oldest = (_oldest(database, team) for team in _too_large(database))
        stream = next(filter(None, oldest), None)
        if stream is None:
            break
        number, size = stream
        database.execute("DELETE FROM events WHERE stream = ?", (number,))
        database.execute("DELETE FROM streams WHERE number = ?", (number,))
        freed += size
        count += 1
    return count


def _too_large(database: sqlite3.Connection) -> list[str]:
    """Return the teams that hold an equal part or more, the largest first."""
    held: list[tuple[str, int]] = database.execute(
        "SELECT team, bytes FROM teams ORDER BY bytes DESC"
    ).fetchall()
    part = sum(size for _, size in held) / max(1, len(held))
    return [team for team, size in held if size >= part]


def _oldest(database: sqlite3.Connection, team: str) -> Stream | None:
    """Return the first of a team's streams that no process computes."""
    found: Stream | None = database.execute(
        "SELECT number, LENGTH(body) + (SELECT COALESCE(SUM(LENGTH(batch)), 0) FROM events "
        "WHERE stream = streams.number) FROM streams "
        "WHERE team = ? AND owner IS NULL ORDER BY expires LIMIT 1",
        (team,),
    ).fetchone()
    return found
