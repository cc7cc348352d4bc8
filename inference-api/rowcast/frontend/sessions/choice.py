"""One reply in flight: its tokens, the events that its reader has not read yet, and its one end.

A choice is submitted to the backend when its session is opened, and closed when its stream ends;
between the two it gets exactly one end. It takes only the next index, so repeated events change
nothing. Knows no text, no HTTP and no dialect.

    offer               demultiplexer; while another process computes the reply: sync
    end                 any thread; the first end counts
    take, drain         the request's thread, its only reader

A lock, which all choices of a session share, makes each of these one step (decision 68).
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

import msgspec
from gevent import monkey

from rowcast.errors import MalformedRequest, Overloaded, PromptTooLong, RowcastError, Stopping
from rowcast.frontend.sessions.arrival import Arrival
from rowcast.wire import (
    Accepted,
    Embedded,
    Event,
    Finished,
    FinishReason,
    Rejected,
    Scored,
    Seated,
    Submit,
    Tokens,
)

# Backends that may end under a seated choice without a new token in between. One that was killed
# from outside counts as a fraction: that is weak evidence against the seated choices.
DEATHS = 3
KILLED = 1 / 16


@dataclass(slots=True)
class Times:
    """When a reply that is computed here got what, on the monotonic clock; 0: not yet.

    The choice notes rows and interruptions, its model's meter the first and the last token.
    """

    opened: float = field(default_factory=time.monotonic)  # before its prompt was sent
    seatings: list[float] = field(default_factory=list)  # a row: once, and again after each loss
    interruptions: list[float] = field(default_factory=list)  # when a backend ended that had it
    first: float = 0.0  # its first token
    last: float = 0.0  # its latest token

    @property
    def seated(self) -> float:
        """When it got its first row."""
        return self.seatings[0] if self.seatings else 0.0


class Choice:
    """One reply in flight, from open to close."""

    def __init__(
        self,
        submit: Submit,
        arrived: "threading.Event | Arrival | None" = None,
        lock: "threading.Lock | None" = None,
        at: int = 0,
    ) -> None:
        """`arrived` and `lock` are shared by the choices of a session; `at`: its number there."""
        self.submit = submit
        self.at = at
        self.tokens: list[int] = []
        self.scored = 0  # prompt tokens whose scores have arrived
        self.accepted = False
        self.ended = False  # its end was handed to its reader
        self.finished = False  # the backend no longer has it
        self.seated = False  # it may be the cause if the backend ends now
        self.times = Times()
        self.known = 0  # tokens that it had when it got its first row here
        self.losses = 0  # backends that ended while it had a row, without a new token between
        self.deaths = 0.0  # how many of these it may have caused
        self.cached: int | None = None  # prompt tokens found computed; None: it had no row here
        self.shown: int | None = None  # the same, as all readers are shown it; None: undecided
        self.unwritten: list[Event] | None = None  # for the journal; None: it gets none
        self._interrupted = False  # by a backend's end that its reader does not know of
        self._events: deque[Event] = deque()
        self._arrived = arrived or threading.Event()
        self._lock = lock or brief_lock()

    def take(self, timeout: float | None = None) -> list[Event]:
        """Return everything that has arrived; wait up to `timeout` for something.

        Returns an empty list, too, if there is an interruption to report.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while not self._events:
            self._arrived.clear()
            if self._events or self.was_interrupted():
                break
            left = None if limit is None else limit - time.monotonic()
            if not self._arrived.wait(left):
                break
        return self.drain()

    def drain(self) -> list[Event]:
        """Return everything that has arrived."""
        count = len(self._events)
        if count == 1:
            return [self._events.popleft()]
        return [self._events.popleft() for _ in range(count)]

    def interrupt(self) -> None:
        """Note that the backend has ended: the reply continues after a pause."""
        with self._lock:
            self._interrupted = not self.ended
            if self._interrupted and len(self.times.interruptions) < len(self.times.seatings):
                self.times.interruptions.append(time.monotonic())  # once for each row that it lost
        self._arrived.set()

    def was_interrupted(self) -> bool:
        """Return whether its reader must learn of a pause now; True once per interruption."""
        if not self._interrupted:
            return False
        self._interrupted = False
        return True

    @property
    def has_unread(self) -> bool:
        """True if its reader has not read all that has arrived."""
        return bool(self._events)

    def offer(self, event: Event) -> int:
        """Accept an event of the backend; keep what is new in it.

        Return how many new tokens that is.
        """
        with self._lock:
            if isinstance(event, Tokens):
                return 0 if self.ended else self._offer_tokens(event)
            self.finished = self.finished or isinstance(event, Finished | Rejected)
            if not self.ended:
                self._offer_other(event)
            return 0

    def _offer_other(self, event: Event) -> None:
        match event:
            case Scored() | Embedded():
                self._offer_of_prompt(event)
            case Accepted():
                self._offer_accepted(event)
            case Seated():
                self._offer_seated(event)
            case Rejected() if self.accepted:
                self._end("error", event.message)
            case Rejected() | Finished():
                self.ended = True
                self._put(event)

    def await_row(self, timeout: float | None) -> bool:
        """Return True once it has a row, or more than that; wait up to `timeout` for it."""
        limit = None if timeout is None else time.monotonic() + timeout
        while not self._had_row:
            self._arrived.clear()
            left = None if limit is None else limit - time.monotonic()
            if not self._had_row and not self._arrived.wait(left):
                return False
        return True

    def know_cached(self, count: int) -> None:
        """Take the number of cached tokens that the journal has."""
        self.shown = count
        self._arrived.set()

    def show_cached(self, count: int) -> int:
        """Decide, unless it is decided, how many cached tokens are shown; return the number."""
        with self._lock:
            if self.shown is None:
                self.shown = count
                if count != (self.cached or 0) and self.unwritten is not None:
                    self.unwritten.append(Seated(*self.submit.key, count))
        return self.shown

    def end(self, reason: FinishReason, message: str = "") -> None:
        """End the reply from this side, unless it has ended."""
        with self._lock:
            self._end(reason, message)

    def resubmission(self) -> Submit:
        """Return the same prompt for another backend, which continues where the last one ended."""
        return msgspec.structs.replace(
            self.submit, delivered=tuple(self.tokens), deaths=int(self.deaths)
        )

    def count_loss(self, *, killed: bool) -> None:
        """Note that the backend has ended; if the choice had a row there, it may be the cause."""
        if self.seated:
            self.losses += 1
            self.deaths += KILLED if killed else 1
        self.seated = False
        if self.deaths >= DEATHS:
            self.end("error", f"{self.losses} backends ended while computing this reply")

    def precedes(self, event: Event) -> bool:
        """Return whether this event directly follows what is known."""
        match event:
            case Tokens():
                scores = len(self.submit.prompt) - 1 if self.submit.params.prompt_logprobs else 0
                return event.index <= len(self.tokens) and self.scored >= scores
            case Scored():
                return event.index <= self.scored + 1
            case Finished():
                return event.length <= len(self.tokens)
        return False

    @property
    def _had_row(self) -> bool:
        counted = self.cached is not None or self.shown is not None
        return counted or self.ended or bool(self.tokens or self.scored)

    def _end(self, reason: FinishReason, message: str) -> None:
        if not self.ended:
            self.ended = True
            self._put(Finished(*self.submit.key, len(self.tokens), reason, message))

    def _offer_accepted(self, event: Accepted) -> None:
        if not self.accepted:
            self.accepted = True
            self._put(event)

    def _offer_seated(self, event: Seated) -> None:
        """Note its row. The number of cached tokens is that of the first row."""
        if self.seated:
            self._correct(event)
            return
        self.seated = True
        self.times.seatings.append(time.monotonic())
        if len(self.times.seatings) == 1:
            self.known = len(self.tokens)
        if self.cached is None:
            self.cached = event.cached
            if self.shown is None and event.cached and self.unwritten is not None:
                self.unwritten.append(event)
            self._arrived.set()

    def _correct(self, event: Seated) -> None:
        """Take a smaller number of cached tokens, unless readers may see the first one already."""
        if self.shown is not None or event.cached >= (self.cached or 0):
            return
        if self.unwritten is None:
            self.cached = event.cached
            return
        for at, each in enumerate(self.unwritten):
            if isinstance(each, Seated):
                self.unwritten[at : at + 1] = [event] if event.cached else []
                self.cached = event.cached
                return

    def _offer_tokens(self, event: Tokens) -> int:
        known = len(self.tokens) - event.index
        if known < 0:
            self._end("error", f"token {len(self.tokens)} was lost in transit")
            return 0
        if known >= len(event.tokens):
            return 0
        fresh = split(event, known)[1] if known else event
        self.tokens.extend(fresh.tokens)
        self.losses, self.deaths = 0, 0.0
        self._put(fresh)
        return len(fresh.tokens)

    def _offer_of_prompt(self, event: Scored | Embedded) -> None:
        if isinstance(event, Scored):
            self._offer_scores(event)
        else:  # a repeated one has the same bits
            self.losses, self.deaths = 0, 0.0
            self._put(event)

    def _offer_scores(self, event: Scored) -> None:
        known = self.scored + 1 - event.index  # the first score has index 1
        if known < 0:
            self._end("error", f"the score of prompt token {self.scored + 1} was lost in transit")
        elif known < len(event.logprobs):
            fresh = _without_scores(event, known)
            self.scored += len(fresh.logprobs)
            self.losses, self.deaths = 0, 0.0
            self._put(fresh)

    def _put(self, event: Event) -> None:
        self._events.append(event)
        if self.unwritten is not None:
            self.unwritten.append(event)
        self._arrived.set()


def brief_lock() -> "threading.Lock":
    """Return a lock that is never held during a wait.

    It is the operating system's: gevent's costs a microsecond more, and each token takes it once.
    """
    lock: threading.Lock = monkey.get_original("_thread", "allocate_lock")()
    return lock


def split(event: Tokens, at: int) -> tuple[Tokens, Tokens]:
    """Return the first `at` of these tokens, and the rest."""
    return _part(event, slice(0, at)), _part(event, slice(at, len(event.tokens)))


def _part(event: Tokens, part: slice) -> Tokens:
    logprobs = event.logprobs and event.logprobs[part]
    top = event.top and event.top[part]
    return Tokens(*event.key, event.index + part.start, event.tokens[part], logprobs, top)


def _without_scores(event: Scored, known: int) -> Scored:
    if not known:
        return event
    top = event.top and event.top[known:]
    return Scored(*event.key, event.index + known, event.logprobs[known:], top)


def refusal(rejected: Rejected) -> RowcastError:
    """Return the error for a rejection."""
    if rejected.reason in {"empty", "invalid"}:
        return MalformedRequest(rejected.message)
    if rejected.reason == "too_long":
        return PromptTooLong(rejected.message)
    if rejected.reason == "overloaded":
        return Overloaded(rejected.message, rejected.retry_after)
    return Stopping(rejected.message, rejected.retry_after)
