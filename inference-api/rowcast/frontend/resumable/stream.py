"""One request in flight in this process: its sessions, and the events to write to the journal.

A batch is the wire's own events, each with the number of its session in the request. Read back in
order, they bring new sessions to where the old ones were. Repeated events change nothing, and
events that do not directly follow the known ones are dropped and computed again.
"""

import contextlib
import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from rowcast import wire
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.session import Session
from rowcast.wire import Accepted, Event, Finished, Rejected, Scored, Seated, Status, Submit, Tokens


class Stream:
    """The replies computed, or followed, for one connection."""

    def __init__(self, origin: Origin, sessions: Sequence[Session]) -> None:
        self.origin = origin
        self.sessions = tuple(sessions)
        self._places = {id(session): at for at, session in enumerate(self.sessions)}
        self.name = ""  # by which it can be resumed; "": it cannot
        self.owned = False  # the journal names this process as its owner
        self.accepted = False
        self.seen = 0  # the last batch read, if another process computes the stream
        self.reads = ""  # the kept stream that it counts as a reader of
        self.recalled = 0  # bytes of the record that its sessions began with
        self._unwritten: list[Event] = []
        self._ended: set[int] = set()
        self._held = set(range(len(self.sessions)))
        self._lock = threading.Lock()  # guards the unwritten events, which two threads take and add

    @property
    def id(self) -> str:
        return self.origin.id

    @property
    def complete(self) -> bool:
        """True if the end of every session is known."""
        return len(self._ended) == len(self.sessions)

    @property
    def unfinished(self) -> list[Session]:
        """The sessions that still must be computed."""
        return [each for at, each in enumerate(self.sessions) if at not in self._ended]

    def listen(self) -> None:
        """Record events for the journal from now on."""
        for session in self.sessions:
            session.kept = deque()

    def deafen(self) -> None:
        """Stop recording events."""
        for session in self.sessions:
            session.kept = None

    def know(self, batches: Iterable[bytes]) -> None:
        """Bring the sessions to the state that these batches describe."""
        with contextlib.suppress(msgspec.DecodeError):  # damaged: the rest is computed again
            for event in itertools.chain.from_iterable(map(wire.decode_events, batches)):
                if not isinstance(event, Status):
                    self._know(event)

    def left(self, session: Session, whole: Finished | None) -> bool:
        """Note that a session's reader has left, and how it ended; return whether all have left."""
        at = self._places[id(session)]
        with self._lock:
            self._note()
            if whole is not None:  # a stop sequence may have ended it, unknown to the backend
                self._write(at, whole)
            self._held.discard(at)
            return not self._held

    def take(self) -> list[Event]:
        """Return the events to write next."""
        with self._lock:
            self._note()
            taken, self._unwritten = self._unwritten, []
            return taken

    def put_back(self, events: Sequence[Event]) -> None:
        """Return events that could not be written."""
        with self._lock:
            self._unwritten[:0] = events

    def _know(self, event: Accepted | Rejected | Seated | Scored | Tokens | Finished) -> None:
        session = self.sessions[event.choice]
        if not session.precedes(event):
            return
        session.offer(event)
        if isinstance(event, Finished):
            self._ended.add(event.choice)

    def _note(self) -> None:
        for at, session in enumerate(self.sessions):
            kept = session.kept or ()
            while kept:
                self._write(at, kept.popleft())

    def _write(self, at: int, event: Event) -> None:
        if isinstance(event, Finished):
            if event.reason not in {"stop", "length"} or at in self._ended:
                return
            self._ended.add(at)
        elif not isinstance(event, Tokens | Scored):
            return
        last = self._unwritten[-1] if self._unwritten else None
        fresh = msgspec.structs.replace(event, session="", choice=at)
        if isinstance(fresh, Tokens) and isinstance(last, Tokens) and last.choice == at:
            self._unwritten[-1] = _joined(last, fresh)
        else:
            self._unwritten.append(fresh)


def _joined(first: Tokens, second: Tokens) -> Tokens:
    """Join two consecutive events."""
    return msgspec.structs.replace(
        first,
        tokens=first.tokens + second.tokens,
        logprobs=first.logprobs and first.logprobs + (second.logprobs or ()),
        top=first.top and first.top + (second.top or ()),
    )


def encoded(events: Sequence[Event]) -> bytes:
    """Encode a batch; no events give no bytes."""
    return wire.encode(events) if events else b""


def digest(submits: Iterable[Submit]) -> bytes:
    """Return a digest of what the backend is to compute, whoever the caller is."""
    plain = [msgspec.structs.replace(each, session="", team="", delivered=None) for each in submits]
    return hashlib.sha256(wire.encode(plain)).digest()
