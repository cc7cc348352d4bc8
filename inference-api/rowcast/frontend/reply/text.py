"""From a choice's events to the text of a reply, piece by piece, and its one true end.

`ReplyText` joins a choice, its decoder and its stop sequences. First call `verdict()`: it waits
for the first event, which decides the HTTP status. Then `pieces()`: all that has arrived is one
piece, so a client that lags gets fewer and larger pieces, and one that does not gets each token at
once. Knows no HTTP.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from rowcast.errors import (
    DeadlinePassed,
    NotReady,
    ReplyCancelled,
    ReplyFailed,
    RowcastError,
)
from rowcast.frontend.reply.chunks import Chunks, Patience
from rowcast.frontend.sessions.choice import Choice, refusal, split
from rowcast.text.stop import StopFilter
from rowcast.text.tokens.tokenizer import Decoder
from rowcast.wire import (
    Accepted,
    Embedded,
    Event,
    Finished,
    FinishReason,
    Rejected,
    Scored,
    Tokens,
    Top,
)

_DECISIVE = (Accepted, Rejected, Finished)
_FAILURES: dict[FinishReason, type[RowcastError]] = {
    "cancelled": ReplyCancelled,
    "unavailable": NotReady,
    "deadline": DeadlinePassed,
}


class Place(Struct, frozen=True):
    """A token of a prompt or reply with its log-probability, and the likeliest tokens there."""

    token: int
    logprob: float | None  # None: the first token of a prompt, which has no predecessor
    top: Top = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a reply ended."""

    reason: FinishReason
    tokens: int
    message: str = ""

    @property
    def whole(self) -> bool:
        return self.reason in {"stop", "length"}

    @property
    def failure(self) -> RowcastError:
        """The error that reports an incomplete reply."""
        problem = self.message or f"the reply ended with {self.reason}"
        return _FAILURES.get(self.reason, ReplyFailed)(problem)


class ReplyText:
    """The text of one choice."""

    def __init__(
        self,
        choice: Choice,
        decoder: Decoder,
        stop: Sequence[str],
        close: Callable[["ReplyText"], None],
        cached: Callable[[Choice], int] = lambda choice: choice.cached or 0,
        *,
        pause: int = 0,
        chunk: int = 1,
    ) -> None:
        """`pause`: a number of tokens at which a piece ends, so that another may begin there.

        `chunk`: the tokens per piece, if more than one. `cached`: what `cached_tokens` calls.
        """
        self.choice = choice
        self.ending: Ending | None = None
        self._decoder = decoder
        self._filter = StopFilter(stop)
        self._step = 1 if stop else None
        self._chunks = Chunks(chunk, pause)
        self._is_whole = chunk == 1 and not pause  # whatever arrives together is one piece
        self._close = close
        self._cached = cached
        self._early: list[Event] = []
        self._tokens = 0
        self._logprobs = 0.0
        self._places: list[Place] = []
        self.scored: list[Place] = []  # the prompt's tokens, from the second on
        self.vector = b""  # of the prompt, if it was sent to be embedded
        self._closed = False
        self.first = 0.0  # when the first token arrived, on the monotonic clock

    def verdict(self, timeout: float) -> None:
        """Wait until the prompt is accepted; raise if it is refused."""
        limit = time.monotonic() + timeout
        while not any(isinstance(event, _DECISIVE) for event in self._early):
            left = limit - time.monotonic()
            if left <= 0:
                break
            self._early += self.choice.take(left)
        refused = _refused(self._early)
        if refused is not None:
            self.close()
            raise refused

    def pieces(self, silence: float | None = None) -> Iterator[str]:
        """Yield text as it arrives; "" after each `silence` seconds without any, and at a pause."""
        patience, held = Patience(silence, joins=self.joins), ""
        while self.ending is None:
            events = self.arrived() if self._early else self._awaited(patience.left)
            held += self.read(events)
            if not events:
                patience.reset()
                yield ""
            elif held and self.complete:
                patience.reset()
                piece, held = held, ""
                yield piece

    @property
    def joins(self) -> bool:
        """True if a piece has several tokens."""
        return self._chunks.joins

    @property
    def complete(self) -> bool:
        """True if what was read ends a piece."""
        if self._is_whole or self.ending is not None:
            return True
        return self._chunks.end_at(self._tokens)

    def text(self) -> str:
        """Return the full text once the reply has ended."""
        return "".join(self.pieces())

    def arrived(self) -> list[Event]:
        """Return the events that have arrived and are unread."""
        return self._clipped(self.choice.drain())

    @property
    def has_unread(self) -> bool:
        """True if events have arrived that belong to the next piece."""
        return bool(self._early)

    def read(self, events: Sequence[Event]) -> str:
        """Return the text that these events release; set `ending` if they contain the end."""
        return "".join(map(self._read, events))

    def places(self) -> list[Place]:
        """Return the tokens read since the last call, if log-probabilities were requested."""
        taken, self._places = self._places, []
        return taken

    @property
    def tokens(self) -> int:
        """The number of tokens read."""
        return self.ending.tokens if self.ending else self._tokens

    def cached_tokens(self) -> int:
        """Return how many tokens of the prompt were computed for another request.

        Each reader of the stream gets the same number. Call it once the reply has a row.
        """
        return self._cached(self.choice)

    def await_row(self, silence: float) -> Iterator[None]:
        """Return once the reply has a row; yield after each `silence` seconds without one."""
        while not self.choice.await_row(silence):
            yield

    @property
    def stop_sequence(self) -> str | None:
        """The stop sequence that ended the reply, if one did."""
        return self._filter.found or None

    @property
    def whole_end(self) -> Finished | None:
        """The end of a whole reply; the backend does not know of one by a stop sequence."""
        if self.ending is None or not self.ending.whole:
            return None
        return Finished(*self.choice.submit.key, self.ending.tokens, self.ending.reason)

    @property
    def mean_logprob(self) -> float:
        """The mean log-probability of the tokens, to compare replies of different lengths."""
        return self._logprobs / max(1, self._tokens)

    def close(self) -> None:
        """Close the choice; called when the stream ends, for whatever reason."""
        if not self._closed:
            self._closed = True
            self._close(self)

    def _awaited(self, silence: float | None) -> list[Event]:
        return self._clipped(self.choice.take(silence))

    def _clipped(self, news: list[Event]) -> list[Event]:
        """Return the events that may be read now, up to the next end of a piece."""
        if self._is_whole and not self._early:
            return news
        events, self._early = self._early + news, []
        left = self._chunks.left(self._tokens)
        if left <= 0:
            return events
        for at, event in enumerate(events):
            if isinstance(event, Tokens) and left <= len(event.tokens):
                first, rest = split(event, left)
                self._early = [*([rest] if rest.tokens else []), *events[at + 1 :]]
                return [*events[:at], first]
            left -= len(event.tokens) if isinstance(event, Tokens) else 0
        return events

    def _read(self, event: Event) -> str:
        if self.ending is not None:
            return ""
        if isinstance(event, Tokens):
            return self._read_tokens(event)
        if isinstance(event, Finished):
            return self._read_end(event)
        if isinstance(event, Scored):
            tokens = self.choice.submit.prompt[event.index :]
            self.scored += _places(tokens, event.logprobs, event.top)
        elif isinstance(event, Embedded):
            self.vector = event.vector
        return ""

    def _read_tokens(self, event: Tokens) -> str:
        """Read the text of tokens.

        With stop sequences this goes token by token, so that the token count does not depend on
        timing.
        """
        self.first = self.first or time.monotonic()
        tokens = event.tokens
        if self._step is None and not event.logprobs:
            self._tokens += len(tokens)
            return self._filter.feed(self._decoder.feed(tokens))
        places = _places(tokens, event.logprobs, event.top) if event.logprobs else []
        step = self._step or len(tokens)
        released = []
        for at in range(0, len(tokens), step):
            some = tokens[at : at + step]
            self._tokens += len(some)
            if places:
                self._places += places[at : at + step]
                self._logprobs += sum(place.logprob or 0.0 for place in places[at : at + step])
            released.append(self._filter.feed(self._decoder.feed(some)))
            if self._filter.stopped:
                self.ending = Ending("stop", self._tokens)
                break
        return "".join(released)

    def _read_end(self, event: Finished) -> str:
        self.ending = Ending(event.reason, event.length, event.message)
        if not self.ending.whole:
            return ""  # held-back text may be part of a character or of a stop sequence
        rest = self._filter.feed(self._decoder.finish()) + self._filter.finish()
        if self._filter.stopped:
            self.ending = Ending("stop", event.length)
        return rest


def _places(
    tokens: Sequence[int], logprobs: Sequence[float], top: Sequence[Top] | None
) -> list[Place]:
    return [
        Place(token, logprob, top[at] if top else ())
        for at, (token, logprob) in enumerate(zip(tokens, logprobs, strict=False))
    ]


def _refused(events: Sequence[Event]) -> RowcastError | None:
    """Return the error if a reply's first events mean that it was refused."""
    match next((event for event in events if isinstance(event, _DECISIVE)), None):
        case None:
            return NotReady("the backend does not respond")
        case Rejected() as rejected:
            return refusal(rejected)
        case Finished() as end:
            ending = Ending(end.reason, end.length, end.message)
            return None if ending.whole else ending.failure
    return None


def one_by_one(events: Sequence[Event]) -> Iterable[Sequence[Event]]:
    """Return the events in parts with at most one token each."""
    if len(events) == 1 and not (isinstance(events[0], Tokens) and len(events[0].tokens) > 1):
        return (events,)
    return _one_by_one(events)


def _one_by_one(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for event in events:
        rest = event
        while isinstance(rest, Tokens) and len(rest.tokens) > 1:
            first, rest = split(rest, 1)
            yield [first]
        yield [rest]
