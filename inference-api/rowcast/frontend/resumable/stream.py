"""One request in flight here: its sessions, and what the journal is to keep of them.

A batch is the wire's own events, each with its session's place in the request. Read back in their
order they bring new sessions to where the old ones were; repeated ones change nothing, and what
does not follow upon what is known is left to be computed again.
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
    """What is computed, or followed, for one connection."""

    def __init__(self, origin: Origin, sessions: Sequence[Session]) -> None:
        self.origin = origin
        self.sessions = tuple(sessions)
        self._places = {id(session): at for at, session in enumerate(self.sessions)}
        self.name = ""  # under which it can be asked for again; "": it cannot
        self.owned = False  # the journal has it in this process's name
        self.accepted = False
        self.seen = 0  # the last batch that was read, of a stream that another computes
        self._unwritten: list[Event] = []
        self._ended: set[int] = set()
        self._held = set(range(len(self.sessions)))
        self._lock = threading.Lock()  # of what is unwritten: two threads take and add to it

    @property
    def id(self) -> str:
        return self.origin.id

    @property
    def complete(self) -> bool:
        """Whether all that there will be of it is known."""
        return len(self._ended) == len(self.sessions)

    @property
    def unfinished(self) -> list[Session]:
        """What somebody must compute."""
        return [each for at, each in enumerate(self.sessions) if at not in self._ended]

    def listen(self) -> None:
        """Keep what comes from now on."""
        for session in self.sessions:
            session.kept = deque()

    def deafen(self) -> None:
        """Keep nothing."""
        for session in self.sessions:
            session.kept = None

    def know(self, batches: Iterable[bytes]) -> None:
        """Bring the sessions to where these batches leave them."""
        with contextlib.suppress(msgspec.DecodeError):  # damaged: the rest is computed again
            for event in itertools.chain.from_iterable(map(wire.decode_events, batches)):
                if not isinstance(event, Status):
                    self._know(event)

    def left(self, session: Session, whole: Finished | None) -> bool:
        """Nobody reads this session any more, which ended so; whether all are left now."""
        at = self._places[id(session)]
        with self._lock:
            self._note()
            if whole is not None:  # perhaps its text ended it, and the backend does not know
                self._write(at, whole)
            self._held.discard(at)
            return not self._held

    def take(self) -> list[Event]:
        """What is to be written next."""
        with self._lock:
            self._note()
            taken, self._unwritten = self._unwritten, []
            return taken

    def put_back(self, events: Sequence[Event]) -> None:
        """It could not be written."""
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
    """Two events of which the second follows the first."""
    return msgspec.structs.replace(
        first,
        tokens=first.tokens + second.tokens,
        logprobs=first.logprobs and first.logprobs + (second.logprobs or ()),
        top=first.top and first.top + (second.top or ()),
    )


def encoded(events: Sequence[Event]) -> bytes:
    """A batch; nothing when there is nothing."""
    return wire.encode(events) if events else b""


def digest(submits: Iterable[Submit]) -> bytes:
    """Of what is asked of the backend, and nothing of who asks."""
    plain = [msgspec.structs.replace(each, session="", team="", delivered=None) for each in submits]
    return hashlib.sha256(wire.encode(plain)).digest()
