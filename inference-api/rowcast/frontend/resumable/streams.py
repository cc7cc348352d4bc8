"""All streams of this process: who computes them, what is kept of them, and who continues them.

    a new request          submitted, accepted, then kept: durable before its headers are sent
    a recorded request     taken from its owner; its sessions begin with what is known
    a known key            followed through the journal while its owner lives, then taken

`sync` writes new events to the journal, learns which streams were taken away or cancelled, and
feeds the followers. A reply is a value: it does not matter which process computes it, and what was
lost is computed again. Knows no dialect and no HTTP.
"""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rowcast.errors import (
    BuildChanged,
    JournalFailing,
    KeyReused,
    NotReady,
    Overloaded,
    RowcastError,
    StreamCancelled,
    UnknownStream,
)
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.resumable.journal_client import Recorder
from rowcast.frontend.resumable.stream import Stream, digest, encoded
from rowcast.frontend.sessions.session import Session, prepare
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.frontend.turns import in_turns
from rowcast.journal.journal import Journal
from rowcast.journal.record import News, Record
from rowcast.wire import Accepted, Finished, Submit

TAKEN = "another connection reads this stream now"
CANCELLED = "the stream was cancelled"
FOLLOWERS = 16  # connections of one process that may follow one stream


def _event() -> threading.Event:
    """Return a gevent event if gevent has patched them since this module was imported."""
    return threading.Event()


@dataclass(frozen=True, slots=True)
class Asking:
    """A caller and the prompts of the request."""

    caller: Caller
    request_id: str
    prompts: Sequence[Sequence[Submit]]  # each with its choices
    arrived: threading.Event = field(default_factory=_event)

    def digest(self) -> bytes:
        return digest(itertools.chain(*self.prompts))


class Streams:
    """The streams of one frontend process."""

    def __init__(
        self, sessions: Sessions, recorder: Recorder | None = None, *, line: int = 1 << 30
    ) -> None:
        """`recorder`: None keeps nothing. `line`: how many prompts may wait for a row."""
        self.live: dict[str, Stream] = {}  # computed here, owned by this process
        self.following: list[Stream] = []
        self.wake = threading.Event()  # set when there is something to sync
        self.recorder = recorder
        self._sessions = sessions
        self._line = line

    @property
    def journal(self) -> str | None:
        """The state of the journal; None if there is none."""
        if self.recorder is None:
            return None
        return f"failing: {self.recorder.problem}" if self.recorder.problem else "ok"

    def open(self, origin: Origin, asking: Asking) -> Stream:
        """Begin or continue the requested stream. Raises RequestError and Unavailable."""
        sessions = [prepare(submits, asking.arrived) for submits in asking.prompts]
        stream = Stream(origin, list(itertools.chain(*sessions)))
        try:
            self._open(stream, asking)
        except RowcastError:
            self._leave(stream)
            raise
        return stream

    def keep(self, stream: Stream, asking: Asking) -> None:
        """Keep an accepted stream; return when it is durable, or cannot be made durable."""
        stream.accepted = True
        if self.recorder is None or stream.name or stream.origin.key or stream.origin.record:
            return
        if not asking.caller.keeps:
            return
        record = self._record(stream.origin, asking)
        try:
            self.recorder.do(Journal.begin, record)
        except JournalFailing:
            self._never_mind(self.recorder, stream)
        else:
            self._own(stream)

    def left(self, stream: Stream, session: Session, whole: Finished | None) -> None:
        """Close a session that has no reader any more; `whole` is its end, if it is complete."""
        self._sessions.close_session(session)
        if stream.left(session, whole):
            self._leave(stream)

    def find(self, stream: str, team: str) -> Record:
        """Return the record of a team's stream. Raises RequestError and JournalFailing."""
        found = self._journal().do(Journal.find, stream, team)
        if found is None:
            raise _unknown(stream)
        if found.state == "cancelled":
            raise StreamCancelled(f"stream {stream} was cancelled; nothing of it is kept")
        return found

    def cancel(self, stream: str, team: str) -> None:
        """End a stream wherever it is computed, and keep nothing of it."""
        if not self._journal().do(Journal.cancel, stream, team):
            raise _unknown(stream)
        self.oust(stream, CANCELLED)

    def oust(self, name: str, why: str) -> None:
        """Give up a stream that this process no longer owns: end its reader here."""
        stream = self.live.pop(name, None)
        if stream is not None:
            stream.owned = False
            self.end(stream, why)

    def end(self, stream: Stream, why: str) -> None:
        """End a stream for its reader."""
        for session in stream.sessions:
            self._sessions.close_session(session, why)

    def go_on(self, stream: Stream, news: News) -> None:
        """Follow a stream while its owner lives, then take it over and compute the rest.

        If another process takes it first, keep following.
        """
        stream.know(news.batches)
        stream.seen = news.number
        if news.state == "open" and news.lives:
            return
        if stream in self.following:
            self.following.remove(stream)
        if news.state == "cancelled":
            self.end(stream, CANCELLED)
        elif news.state == "ended":
            self.compute(stream)
        elif self._journal().do(Journal.take, stream.id, news.owner):
            self._own(stream)
            self.compute(stream)
        else:
            self._follow(stream)

    def compute(self, stream: Stream) -> None:
        """Submit the unfinished sessions of a stream."""
        if stream.unfinished:
            self._sessions.submit(stream.unfinished)

    def _open(self, stream: Stream, asking: Asking) -> None:
        if self.recorder is not None and stream.origin.record is not None:
            self._check_same(stream.origin.record, asking)
            self._check_line(asking.caller.team)
            self._resume(self.recorder, stream)
        elif not asking.caller.keeps:
            self.compute(stream)
        elif self.recorder is not None and stream.origin.key is not None:
            self._claim(self.recorder, stream, asking)
        else:
            if self.recorder is not None:
                stream.listen()
            self.compute(stream)

    def _resume(self, recorder: Recorder, stream: Stream) -> None:
        """Take a stream from its owner."""
        before = self.live.get(stream.id)
        written = before.take() if before is not None else []
        try:
            news = recorder.do(Journal.resume, stream.id, encoded(written))
        except JournalFailing:
            if before is not None:
                before.put_back(written)
            raise
        if news is None:
            raise _unknown(stream.id)
        stream.know(in_turns(news.batches))
        stream.name = stream.id
        if news.state == "open":
            self._own(stream)
        self.compute(stream)

    def _claim(self, recorder: Recorder, stream: Stream, asking: Asking) -> None:
        """Join the stream that has the same key, if there is one."""
        self._check_followers(asking.caller.team, stream.origin.key)
        record = self._record(stream.origin, asking)
        try:
            taken = recorder.do(Journal.claim, record)
        except JournalFailing:
            self._never_mind(recorder, stream)
            self.compute(stream)
            return
        if taken is None:
            self._own(stream)
            self.compute(stream)
            return
        found, news = taken
        self._check_joins(stream.origin, found, asking)
        stream.origin = Origin.recorded(found, stream.origin.start)
        stream.name = stream.id
        stream.know(in_turns(news.batches))
        self._follow(stream)
        self.go_on(stream, replace(news, batches=[]))

    def _check_joins(self, origin: Origin, found: Record, asking: Asking) -> None:
        if found.state == "cancelled":
            raise StreamCancelled("the request that has this Idempotency-Key was cancelled")
        if not origin.is_of(found):
            raise KeyReused(
                "this Idempotency-Key belongs to another request; send a key of its own with "
                "each request, and the same body with each repetition"
            )
        self._check_same(found, asking)

    def _check_same(self, record: Record, asking: Asking) -> None:
        build = self._build()
        if record.build != build:
            raise BuildChanged(
                f"the stream was begun by build {record.build}, and {build} serves now: its reply "
                "would be another; send the request anew"
            )
        if record.prompt_digest != asking.digest():
            raise BuildChanged(
                "the server reads this request differently now than when the stream was begun: its "
                "reply would be another; send the request anew"
            )

    def _check_line(self, team: str) -> None:
        """Refuse to resume while the waiting line is full: backends accept every resubmission."""
        status = self._sessions.health().status
        if status and status.seated >= status.rows and status.waiting >= self._line:
            self._sessions.check_room(team=team)

    def _check_followers(self, team: str, key: str | None) -> None:
        """Limit a stream's followers: this process encodes the reply again for each of them."""
        known = [each.origin.record for each in self.following if each.origin.key == key]
        if sum(record is not None and record.team == team for record in known) >= FOLLOWERS:
            raise Overloaded(
                f"{FOLLOWERS} connections follow the stream of this Idempotency-Key already, which "
                "is the limit; try again when it has ended"
            )

    def _follow(self, stream: Stream) -> None:
        """Follow a stream: its tokens will come through the journal."""
        for session in stream.unfinished:
            session.offer(Accepted(*session.submit.key))
        self.following.append(stream)
        self.wake.set()

    def _own(self, stream: Stream) -> None:
        """Make this process the owner, and end any earlier reader of the stream here."""
        self.oust(stream.id, TAKEN)
        stream.name, stream.owned = stream.id, True
        if stream.sessions[0].kept is None:
            stream.listen()
        if not self.live:
            self.wake.set()
        self.live[stream.id] = stream

    def _leave(self, stream: Stream) -> None:
        """Note in the journal that the stream has no reader here, with its last events."""
        if stream in self.following:
            self.following.remove(stream)
        if self.recorder is None or not stream.owned:
            return
        stream.owned = False
        self.live.pop(stream.id, None)
        if not stream.accepted and stream.origin.record is None:
            self.recorder.soon(Journal.forget, stream.id)
            return
        last = encoded(stream.take())
        self.recorder.soon(Journal.let_go, stream.id, last, stream.complete)

    def _never_mind(self, recorder: Recorder, stream: Stream) -> None:
        """Continue without the journal; if the journal recovers, delete the partial record."""
        stream.deafen()
        recorder.soon(Journal.forget, stream.id)

    def _journal(self) -> Recorder:
        if self.recorder is None:
            raise UnknownStream("no streams are kept here: JOURNAL is off")
        return self.recorder

    def _build(self) -> str:
        """Return the build and context, on which a reply's tokens depend besides the request."""
        health = self._sessions.health()
        if health.status is None:
            raise NotReady(health.reason)
        return f"{health.status.fingerprint}/{health.status.context_length}"

    def _record(self, origin: Origin, asking: Asking) -> Record:
        return Record(
            id=origin.id,
            team=asking.caller.team,
            token_id=asking.caller.token_id,
            request_id=asking.request_id,
            path=origin.path,
            body=origin.body,
            seed=origin.seed,
            build=self._build(),
            prompt_digest=asking.digest(),
            created=origin.created,
            key=origin.key,
        )


def _unknown(stream: str) -> UnknownStream:
    return UnknownStream(f"there is no stream {stream[:80]!r} here, or its time is over")
