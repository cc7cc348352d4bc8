"""One request in flight: its choices, its origin, and its place in the journal.

    UNKEPT   not in the journal                         ─▶ FRESH, CLAIMED, OWNED, FOLLOWED, READ
    FRESH    not yet in it; events are recorded for it  ─▶ OWNED, UNKEPT
    CLAIMED  in it, and deleted if the request is refused               ─▶ OWNED, READ
    OWNED    in it; this process computes the replies and writes their events  ─▶ READ
    FOLLOWED in it; another process does both, and its events are read  ─▶ OWNED, READ
    READ     the replies are known, or are computed here without being written  ─▶ OWNED
    GONE     given up: every reader has left, or the stream was taken or cancelled

A batch in the journal is the wire's own events, each with the number of its choice in the request.
Read back in order, they bring new choices to where the old ones were. Repeated events change
nothing, and events that do not directly follow the known ones are dropped and computed again. A
`Seated` in it has the number of cached tokens that all readers are shown (decision 79).

The session's lock, which its choices share, makes each method one step for all threads. `place` is
changed by the request's thread, and by `Sync` under its own lock (decision 68).
"""

import contextlib
import hashlib
import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Protocol

import msgspec

from rowcast import wire
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.arrival import Arrival
from rowcast.frontend.sessions.choice import Choice, brief_lock
from rowcast.frontend.sessions.demultiplexer import Health
from rowcast.wire import Accepted, Event, Finished, FinishReason, Scored, Seated, Submit, Tokens
from rowcast_http.alarms import Alarms

MOST_JOINED = 256  # tokens in one event, each perhaps with 20 alternatives


class Place(Enum):
    """Where a session is in the journal; see the head of this module."""

    UNKEPT = auto()
    FRESH = auto()
    CLAIMED = auto()
    OWNED = auto()
    FOLLOWED = auto()
    READ = auto()
    GONE = auto()


class Home(Protocol):
    """What computes a session: the `Sessions` of one model."""

    @property
    def alarms(self) -> Alarms: ...

    def submit(self, choices: Sequence[Choice], /) -> None: ...

    def end(self, session: "Session", why: str, reason: FinishReason = ..., /) -> None: ...

    def health(self) -> Health: ...

    def check_room(self, count: int = ..., *, team: str = ..., coming: int = ...) -> None: ...


class Session:
    """The replies computed, or followed, for one request."""

    def __init__(
        self,
        origin: Origin,
        caller: Caller,
        request_id: str,
        prompts: Sequence[Sequence[Submit]],
        home: Home,
    ) -> None:
        """`prompts`: each with its choices. Nothing is submitted yet."""
        self.home = home
        self.origin = origin
        self.caller = caller
        self.request_id = request_id
        self.place = Place.UNKEPT
        self.arrived = Arrival(home.alarms)  # set whenever one of the choices has news
        self._lock = brief_lock()
        stream = origin.id if caller.keeps else ""
        named = itertools.chain.from_iterable(_named(each, stream) for each in prompts)
        self.choices = tuple(
            Choice(submit, self.arrived, self._lock, at) for at, submit in enumerate(named)
        )
        self._unwritten: list[Event] = []  # for the journal, joined; more is in the choices
        self.behind = False  # its owner may have written more than could be read here
        self._ended: set[int] = set()  # the choices whose end is known to the journal
        self._read = set(range(len(self.choices)))  # the choices that still have a reader

    @property
    def id(self) -> str:
        return self.origin.id

    @property
    def name(self) -> str:
        """The id by which it can be resumed; "" if it cannot."""
        return "" if self.place in {Place.UNKEPT, Place.FRESH} else self.id

    @property
    def complete(self) -> bool:
        """True if the end of every choice is known."""
        return len(self._ended) == len(self.choices)

    @property
    def unfinished(self) -> list[Choice]:
        """The choices that still must be computed."""
        return [each for each in self.choices if each.at not in self._ended]

    def digest(self) -> bytes:
        """Return a digest of what the backend is to compute, whoever the caller is."""
        plain = [
            msgspec.structs.replace(each.submit, session="", team="", choices=1)
            for each in self.choices
        ]
        return hashlib.sha256(wire.encode_replies(plain)).digest()

    def record(self) -> None:
        """Collect events for the journal from now on."""
        with self._lock:
            for choice in self.choices:
                if choice.unwritten is None:
                    choice.unwritten = []

    def stop_recording(self) -> None:
        """Collect no more events, and drop those that were not written."""
        with self._lock:
            self._unwritten = []
            for choice in self.choices:
                choice.unwritten = None

    def know(self, events: Iterable[Event]) -> None:
        """Bring the choices to the state that these events of the journal describe."""
        with contextlib.suppress(msgspec.DecodeError):  # damaged: the rest is computed again
            for event in events:
                if isinstance(event, Seated):
                    self.choices[event.choice].know_cached(event.cached)
                elif isinstance(event, Tokens | Scored | Finished):
                    self._know(event)

    def read_cached(self, events: Iterable[Event]) -> None:
        """Show the numbers of cached tokens that these events have, unless others are shown."""
        with contextlib.suppress(msgspec.DecodeError):
            for event in events:
                if isinstance(event, Seated):
                    self.choices[event.choice].show_cached(event.cached)

    def show_none_cached(self) -> None:
        """Show no cached tokens of choices whose number is not known: it was not stored in time."""
        for choice in self.choices:
            choice.show_cached(0)

    def stored(self, events: Iterable[Event]) -> None:
        """Note that events are in the journal: the numbers in them are shown to all readers."""
        for event in events:
            if isinstance(event, Seated):
                self.choices[event.choice].show_cached(event.cached)

    def accept(self) -> None:
        """Accept the unfinished choices, whose events will come through the journal."""
        for choice in self.unfinished:
            choice.offer(Accepted(*choice.submit.key))

    def left(self, choice: Choice, whole: Finished | None) -> bool:
        """Note that a choice's reader has left, and how it ended; return whether all have left."""
        with self._lock:
            self._collect()
            if whole is not None:  # a stop sequence may have ended it, unknown to the backend
                self._add(choice.at, whole)
            self._read.discard(choice.at)
            return not self._read

    def take(self) -> list[Event]:
        """Return the events to write next."""
        with self._lock:
            self._collect()
            taken, self._unwritten = self._unwritten, []
            return taken

    def put_back(self, events: Sequence[Event]) -> None:
        """Take back events that could not be written; `take` returns them first.

        Several takes may have failed, and not in their order: a reader drops what does not follow.
        """
        with self._lock:
            self._unwritten = sorted([*events, *self._unwritten], key=_place)

    def _know(self, event: Tokens | Scored | Finished) -> None:
        choice = self.choices[event.choice]
        if not choice.precedes(event):
            return
        choice.offer(event)
        if isinstance(event, Finished):
            with self._lock:
                self._ended.add(event.choice)

    def _collect(self) -> None:
        """Move the choices' events to the unwritten ones."""
        for choice in self.choices:
            if choice.unwritten:
                events, choice.unwritten = choice.unwritten, []
                for event in events:
                    self._add(choice.at, event)

    def _add(self, at: int, event: Event) -> None:
        if isinstance(event, Finished):
            if event.reason not in {"stop", "length"} or at in self._ended:
                return
            self._ended.add(at)
        elif not isinstance(event, Tokens | Scored | Seated):
            return
        last = self._unwritten[-1] if self._unwritten else None
        fresh = msgspec.structs.replace(event, session="", choice=at)
        if isinstance(fresh, Tokens) and isinstance(last, Tokens) and _may_join(last, fresh):
            self._unwritten[-1] = _joined(last, fresh)
        else:
            self._unwritten.append(fresh)


def _named(submits: Sequence[Submit], stream: str) -> Iterator[Submit]:
    """Give the choices of one prompt the name that they share on the wire, and their stream."""
    name = uuid.uuid4().hex
    for each in submits:
        yield msgspec.structs.replace(each, session=name, choices=len(submits), stream=stream)


def _place(event: Event) -> tuple[int, int, int]:
    """Return where an event belongs among those of its session; those of a choice follow it."""
    match event:
        case Tokens():
            return event.choice, 2, 2 * event.index + 1
        case Finished():  # tokens beyond it are no part of the reply
            return event.choice, 2, 2 * event.length
        case Scored():
            return event.choice, 1, event.index
        case Seated():  # the last one counts
            return event.choice, 0, 0
    raise TypeError(f"{type(event).__name__} is not recorded")


def _may_join(first: Tokens, second: Tokens) -> bool:
    """True if they are of one choice, and one event is read in a millisecond or two."""
    return first.choice == second.choice and len(first.tokens) + len(second.tokens) <= MOST_JOINED


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


def decoded(batches: Iterable[bytes]) -> Iterator[Event]:
    """Decode batches, one event at a time. Raises msgspec.DecodeError at a damaged one."""
    return itertools.chain.from_iterable(map(wire.each_event, batches))
