"""The port between sessions and whatever keeps them, and its implementation that keeps nothing.

`resumable/disk_journal.py` has the one that keeps them.
"""

from typing import Protocol

from rowcast.errors import UnknownStream
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.session import Session
from rowcast.journal.record import Record


class Journal(Protocol):
    """Keeps sessions, so that they can be read again and continued."""

    @property
    def state(self) -> str | None:
        """Its state, as `/health` shows it; None if there is nothing to show."""

    @property
    def lag(self) -> float:
        """Seconds for which events of open sessions may have waited to be written."""

    @property
    def client(self) -> JournalClient | None:
        """What sends calls to its process; None if nothing is kept."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def open(self, session: Session, /) -> bool:
        """Begin or continue a session; return whether the rest is to be computed here.

        Raises RequestError and Unavailable.
        """

    def keep(self, session: Session, /) -> None:
        """Keep an accepted session; return when it is durable, or cannot be made durable."""

    def store(self, session: Session, choice: Choice, /) -> bool:
        """Store how many cached tokens a choice found; return whether every reader will know it."""

    def read_cached(self, session: Session, /) -> None:
        """Show the numbers that a session's owner has stored; 0 where it has stored none."""

    def leave(self, session: Session, /) -> None:
        """Note that a session has no reader here any more."""

    def find(self, stream: str, team: str, /) -> Record:
        """Return the record of a team's session. Raises RequestError and JournalFailing."""

    def is_computed(self, stream: str, /) -> bool:
        """True if a process computes the session now. Raises JournalFailing."""

    def cancel(self, stream: str, team: str, /) -> None:
        """End a session wherever it is computed, and keep nothing of it. Raises as `find`."""

    def store_recipe(self, build: str, recipe: bytes, /) -> None:
        """Store, some time soon, how a build is loaded."""

    def recipe(self, build: str, /) -> bytes | None:
        """Return how a build is loaded; None if that is not known."""


class NoJournal:
    """Keeps nothing: every session is computed here, and ends with its reader."""

    state = None
    lag = 0.0
    client = None

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def open(self, _session: Session, /) -> bool:
        return True

    def keep(self, session: Session, /) -> None:
        """Do nothing."""

    def store(self, _session: Session, _choice: Choice, /) -> bool:
        return True

    def read_cached(self, session: Session, /) -> None:
        """Do nothing."""

    def leave(self, session: Session, /) -> None:
        """Do nothing."""

    def find(self, _stream: str, _team: str, /) -> Record:
        raise _off()

    def is_computed(self, _stream: str, /) -> bool:
        return False

    def cancel(self, _stream: str, _team: str, /) -> None:
        raise _off()

    def store_recipe(self, build: str, recipe: bytes, /) -> None:
        """Do nothing."""

    def recipe(self, _build: str, /) -> None:
        return None


def _off() -> UnknownStream:
    return UnknownStream("no streams are stored here: JOURNAL is off")
