"""The journal that keeps sessions on disk, and decides which process computes each.

    a new request          submitted, accepted, then kept: durable before its headers are sent
    a recorded request     taken from its owner; its choices begin with what is known
    a known key            followed through the journal while its owner lives, then taken

`Sync` writes new events to the journal, learns which sessions were taken away or cancelled, and
feeds the followers. A reply is a value: it does not matter which process computes it, and what was
lost is computed again. Knows no dialect and no HTTP.
"""

import contextlib

from rowcast.errors import (
    BuildChanged,
    JournalFailing,
    KeyReused,
    NotReady,
    StreamCancelled,
    UnknownStream,
)
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.frontend.resumable.readers import Readers
from rowcast.frontend.resumable.sync import CANCELLED, Sync
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.session import Place, Session, decoded
from rowcast.frontend.turns import in_turns
from rowcast.journal.journal import Journal
from rowcast.journal.record import Record, build_version

MOST_BATCHES = 2**62  # no batch has a higher number


class DiskJournal:
    """The journal of one frontend process's sessions, of all models."""

    def __init__(self, client: JournalClient, line: int = 1 << 30) -> None:
        """`line`: how many prompts may wait for a row."""
        self.client = client
        self.sync = Sync(client)
        self.readers = Readers()
        self._line = line

    @property
    def state(self) -> str:
        """The state of the journal."""
        return f"failing: {self.client.problem}" if self.client.problem else "ok"

    @property
    def lag(self) -> float:
        """Seconds for which events of open sessions may have waited to be written."""
        return self.sync.lag

    def start(self) -> None:
        self.client.start()
        self.sync.start()

    def close(self) -> None:
        self.sync.close()
        self.client.close()

    def open(self, session: Session) -> bool:
        """Begin, resume or join a session; return whether the rest is to be computed here."""
        if session.origin.record is not None:
            self._check_same(session, session.origin.record)
            self._check_line(session)
            return self._resume(session)
        if session.caller.keeps and session.origin.key is not None:
            return self._claim(session)
        if session.caller.keeps:
            session.place = Place.FRESH
            session.record()
        return True

    def keep(self, session: Session) -> None:
        """Keep an accepted session; return when it is durable, or cannot be made durable."""
        if session.place is not Place.FRESH:
            self.sync.accept(session)
            return
        record = self._record(session)
        try:
            self.client.do(Journal.begin, record)
        except JournalFailing:
            self._continue_alone(session)
        else:
            self.sync.own(session)

    def store(self, session: Session, choice: Choice) -> bool:
        """Store how many cached tokens a choice found; return whether every reader will know it."""
        return session.place is Place.UNKEPT or self.sync.store(session, choice)

    def read_cached(self, session: Session) -> None:
        """Show the numbers that a session's owner has stored; 0 where it has stored none."""
        with contextlib.suppress(JournalFailing):
            news = self.client.do(Journal.news, session.id)
            session.read_cached(in_turns(decoded(news.batches if news is not None else ())))
        session.show_none_cached()

    def leave(self, session: Session) -> None:
        """Note that a session has no reader here any more, with its last events."""
        self.readers.leave(session)
        self.sync.leave(session)

    def find(self, stream: str, team: str) -> Record:
        """Return the record of a team's session. Raises RequestError and JournalFailing."""
        found = self.client.do(Journal.find, stream, team)
        if found is None:
            raise _unknown(stream)
        if found.state == "cancelled":
            raise StreamCancelled(f"stream {stream} was cancelled; nothing of it is stored")
        return found

    def is_computed(self, stream: str) -> bool:
        """True if a process computes the session now. Raises JournalFailing."""
        news = self.client.do(Journal.news, stream, MOST_BATCHES)
        return news is not None and news.state == "open" and news.lives

    def cancel(self, stream: str, team: str) -> None:
        """End a session wherever it is computed, and keep nothing of it."""
        if not self.client.do(Journal.cancel, stream, team):
            raise _unknown(stream)
        self.sync.oust(stream, CANCELLED)

    def store_recipe(self, build: str, recipe: bytes) -> None:
        """Store, some time soon, how a build is loaded."""
        self.client.soon(Journal.store_recipe, build, recipe)

    def recipe(self, build: str) -> bytes | None:
        """Return how a build is loaded; None if that is not known. Raises JournalFailing."""
        return self.client.do(Journal.recipe, build)

    def _resume(self, session: Session) -> bool:
        """Take a session from its owner."""
        self.readers.enter(session, session.id)
        news = self.sync.resume(session)
        if news is None:
            raise _unknown(session.id)
        self.readers.recall(session, news.batches, session.caller.team)
        session.know(in_turns(decoded(news.batches)))
        session.show_none_cached()
        if session.place is Place.OWNED:
            session.record()  # from here on: what is known is in the journal
        return True

    def _claim(self, session: Session) -> bool:
        """Join the session that has the same key, if there is one."""
        self.readers.enter(session, f"{session.caller.team} {session.origin.key}")
        record = self._record(session)
        try:
            taken = self.client.do(Journal.claim, record)
        except JournalFailing:
            self._continue_alone(session)
            return True
        if taken is None:
            session.record()
            self.sync.own(session, Place.CLAIMED)
            return True
        found, news = taken
        self._check_joins(session, found)
        session.origin = Origin.recorded(found, session.origin.start)
        self.readers.recall(session, news.batches, found.team)
        session.know(in_turns(decoded(news.batches)))
        session.accept()
        return self.sync.join(session, news)

    def _check_joins(self, session: Session, found: Record) -> None:
        if found.state == "cancelled":
            raise StreamCancelled("the request with this Idempotency-Key was cancelled")
        if not session.origin.is_of(found):
            raise KeyReused(
                "this Idempotency-Key belongs to another request; use a new key for each "
                "request, and repeat a request with the same body"
            )
        self._check_same(session, found)

    def _check_same(self, session: Session, record: Record) -> None:
        build = _build(session)
        if record.build != build:
            raise BuildChanged(
                f"the stream was begun by build {record.build}, and {build} is served now: its "
                "reply would differ; send the request again without resuming",
                record.build,
            )
        if record.prompt_digest != session.digest():
            raise BuildChanged(
                "the server now makes another prompt of this request than when the stream was "
                "begun: its reply would differ; send the request again without resuming"
            )

    def _check_line(self, session: Session) -> None:
        """Refuse to resume while the waiting line is full: backends accept every resubmission."""
        status = session.home.health().status
        if status and status.seated >= status.rows and status.waiting >= self._line:
            session.home.check_room(team=session.caller.team)

    def _continue_alone(self, session: Session) -> None:
        """Continue without the journal; if the journal recovers, delete the partial record."""
        session.place = Place.UNKEPT
        session.stop_recording()
        self.client.soon(Journal.forget, session.id)

    def _record(self, session: Session) -> Record:
        origin, caller = session.origin, session.caller
        return Record(
            id=origin.id,
            team=caller.team,
            token_id=caller.token_id,
            request_id=session.request_id,
            path=origin.path,
            body=origin.body,
            seed=origin.seed,
            build=_build(session),
            prompt_digest=session.digest(),
            created=origin.created,
            key=origin.key,
        )


def _build(session: Session) -> str:
    """Return the build that computes a session, as records name it."""
    health = session.home.health()
    if health.status is None:
        raise NotReady(health.reason)
    return build_version(health.status.fingerprint, health.status.context_length)


def _unknown(stream: str) -> UnknownStream:
    return UnknownStream(f"there is no stream {stream[:80]!r} here, or it has expired")
