"""From a choice's events to the text of a reply, piece by piece, and its one true end.

`ReplyText` joins a choice, its decoder and its stop sequences. First call `verdict()`: it waits
for the first event, which decides the HTTP status. Then `pieces()`: all that has arrived is one
piece, so a client that lags gets fewer and larger pieces, and one that does not gets each token at
once. Knows no HTTP but the form of a server-sent event.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rowcast.errors import StreamCut
from rowcast.frontend.reply.ending import DECISIVE, Ending, error_of
from rowcast.frontend.reply.positions import Stage
from rowcast.frontend.sessions.choice import Choice, split
from rowcast.text.stop import StopFilter
from rowcast.text.tokens.tokenizer import Decoder
from rowcast.wire import Event, Finished, Scored, Tokens, Top

_json = json.JSONEncoder(ensure_ascii=False).encode  # `dumps` would make an encoder each time

NO_BUFFERING = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A token of a prompt or reply with its log-probability, and the likeliest tokens there."""

    token: int
    logprob: float | None  # None: the first token of a prompt, which has no predecessor
    top: Top = ()


class ReplyText:
    """The text of one choice."""

    def __init__(
        self,
        choice: Choice,
        decoder: Decoder,
        stop: Sequence[str],
        close: Callable[["ReplyText"], None],
        *,
        pause: int = 0,
    ) -> None:
        """`pause`: a number of tokens at which a piece ends, so that another may begin there."""
        self.choice = choice
        self.ending: Ending | None = None
        self._decoder = decoder
        self._filter = StopFilter(stop)
        self._step = 1 if stop else None
        self._pause = pause
        self._close = close
        self._early: list[Event] = []
        self._tokens = 0
        self._logprobs = 0.0
        self._places: list[Place] = []
        self.scored: list[Place] = []  # the prompt's tokens, from the second on
        self._closed = False
        self.first = 0.0  # when the first token arrived, on the monotonic clock

    def verdict(self, timeout: float) -> None:
        """Wait until the prompt is accepted; raise if it is refused."""
        limit = time.monotonic() + timeout
        while not any(isinstance(event, DECISIVE) for event in self._early):
            left = limit - time.monotonic()
            if left <= 0:
                break
            self._early += self.choice.take(left)
        refused = error_of(self._early)
        if refused is not None:
            self.close()
            raise refused

    def pieces(self, silence: float | None = None) -> Iterator[str]:
        """Yield text as it arrives; "" after each `silence` seconds without any, and at a pause."""
        while self.ending is None:
            events = self.arrived() or self._awaited(silence)
            piece = self.read(events)
            if piece or not events:
                yield piece

    def text(self) -> str:
        """Return the full text once the reply has ended."""
        return "".join(self.pieces())

    def arrived(self) -> list[Event]:
        """Return the events that have arrived and are unread."""
        return self._clipped(self.choice.drain())

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

    @property
    def whole_end(self) -> Finished | None:
        """The end of a whole reply, which only its text may know: a stop sequence."""
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
        """Return the events that may be read now; those after the pause wait for the next call."""
        events, self._early = self._early + news, []
        left = self._pause - self._tokens
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
        return ""

    def _read_tokens(self, event: Tokens) -> str:
        """Read the text of tokens.

        With stop sequences this goes token by token, so that the token count does not depend on
        timing.
        """
        self.first = self.first or time.monotonic()
        tokens = event.tokens
        places = _places(tokens, event.logprobs, event.top) if event.logprobs else []
        step = self._step or len(tokens)
        released = []
        for at in range(0, len(tokens), step):
            some = tokens[at : at + step]
            self._tokens += len(some)
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


def server_sent(data: object, *, event: str = "", place: str = "") -> bytes:
    """Encode a server-sent event; `place` is its id."""
    lines = [f"id: {place}"] if place else []
    lines += [f"event: {event}"] if event else []
    return "\n".join([*lines, f"data: {_json(data)}", "", ""]).encode()


def stage_of(reply: ReplyText) -> Stage:
    """Return the stage of the piece that a reply has just returned."""
    return Stage.TEXT if reply.ending is None else Stage.REST


def without_first(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield a body without its first `count` bytes; raise StreamCut if it has fewer."""
    left = count
    for chunk in chunks:
        yield chunk[left:]
        left = max(0, left - len(chunk))
    if left:
        raise StreamCut(f"the body ended {left} bytes before the place that was asked for")


EVENT_STREAM = "text/event-stream; charset=utf-8"
# A comment is a line, not an event: with an empty line after it, many clients dispatch an event
# without data, and fail. Decision 64 has the table.
SILENT = b": waiting\n"
