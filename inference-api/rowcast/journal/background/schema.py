"""The tables of background requests, which a file gets with its first one.

Triggers count the requests of each team that have not ended, and their bytes.
"""

ADDED = {"rows": "INTEGER NOT NULL DEFAULT 1"}  # columns that a file of an older release lacks
STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS background (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        team TEXT NOT NULL,
        token_id TEXT NOT NULL,
        request_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        path TEXT NOT NULL,
        body BLOB NOT NULL,
        streamed INTEGER NOT NULL,
        batch TEXT NOT NULL,
        label TEXT NOT NULL,
        created REAL NOT NULL,
        phase TEXT NOT NULL,
        started REAL,
        ended REAL,
        status INTEGER NOT NULL,
        result BLOB NOT NULL,
        reason TEXT NOT NULL,
        owner TEXT,
        deaths INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL DEFAULT 0,
        expires REAL,
        rows INTEGER NOT NULL DEFAULT 1
    )""",
    """CREATE INDEX IF NOT EXISTS background_queued ON background (team, number)
        WHERE phase = 'queued'""",
    """CREATE INDEX IF NOT EXISTS background_running ON background (owner, team)
        WHERE phase = 'running'""",
    "CREATE INDEX IF NOT EXISTS background_by_team ON background (team, kind, number)",
    "CREATE INDEX IF NOT EXISTS background_by_batch ON background (batch, phase) WHERE batch != ''",
    """CREATE INDEX IF NOT EXISTS background_by_end ON background (expires)
        WHERE expires IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS background_teams (
        team TEXT PRIMARY KEY, waiting INTEGER NOT NULL, bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TRIGGER IF NOT EXISTS background_in AFTER INSERT ON background BEGIN
        INSERT INTO background_teams VALUES (NEW.team, 1, LENGTH(NEW.body))
        ON CONFLICT (team) DO UPDATE SET waiting = waiting + 1, bytes = bytes + excluded.bytes;
    END""",
    """CREATE TRIGGER IF NOT EXISTS background_ended AFTER UPDATE OF phase ON background
    WHEN OLD.phase IN ('queued', 'running') AND NEW.phase NOT IN ('queued', 'running') BEGIN
        UPDATE background_teams SET waiting = waiting - 1, bytes = bytes - LENGTH(OLD.body)
        WHERE team = OLD.team;
        DELETE FROM background_teams WHERE team = OLD.team AND waiting = 0;
    END""",
)
