"""Answers with a response: one JSON object, or the events of its stream.

Each token is a piece of its own, so the events and their numbers are a function of the tokens,
whichever process computes them and however they arrive. An event's number is its id, from which a
reader resumes (`numbers.py`).

A failure is not a part of the response: its event has the number of the one before it, so a reader
who resumes after it misses nothing.
"""

from collections.abc import Callable, Iterator

from msgspec import UNSET
from msgspec.structs import replace

from rowcast.errors import InvalidField, NotReady, ReplyFailed
from rowcast.frontend.api.bodies.unenforced import with_unenforced
from rowcast.frontend.api.events import EVENT_STREAM, SEED_HEADER, SILENT, streamed
from rowcast.frontend.api.openai.response.logprobs import ChatScores
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import TokenLogprob
from rowcast.frontend.api.openai.responses.request.prepared import Prepared
from rowcast.frontend.api.openai.responses.response.answer import Facts, ended, failed, response_of
from rowcast.frontend.api.openai.responses.response.events import (
    Event,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
)
from rowcast.frontend.api.openai.responses.response.numbers import Numbers
from rowcast.frontend.api.openai.responses.response.output import Output
from rowcast.frontend.api.openai.responses.response.types import ResponseObject
from rowcast.frontend.reply.replies import Piece
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.response import Response


def stream(prepared: Prepared, start: str, silence: float) -> Response:
    """Answer with the events after the one whose number is `start`; with all of them for ""."""
    after = number(start)
    view = View(prepared)
    numbers = Numbers(after, joins=view.reply.joins)
    events = _events(view, numbers, silence)
    response = streamed(view.replies, events, EVENT_STREAM, prepared.parsed.seed)
    return with_unenforced(response, prepared.prompt.rule)


def whole(prepared: Prepared) -> Response:
    """Answer with one object."""
    response = json_answer(whole_object(prepared))
    seed = {SEED_HEADER: str(prepared.parsed.seed)}
    return with_unenforced(response.with_headers(seed), prepared.prompt.rule)


def whole_object(prepared: Prepared) -> ResponseObject:
    """Return the object once it is complete."""
    view = View(prepared)
    try:
        return view.whole()
    finally:
        view.replies.close()  # so that it is stored before its caller has it


class View:
    """The reply to one request as a response."""

    def __init__(self, prepared: Prepared) -> None:
        served, parsed, prompt = prepared.served, prepared.parsed, prepared.prompt
        read = prepared.read
        self.replies = served.open_all(prepared.request, parsed.origin, parsed.prompts)
        self.reply = self.replies[0]
        self._parsed = parsed
        origin = self.replies.origin
        facts = Facts.of(origin, read.accepted, parsed.fingerprint, served.defaults)
        self._begun = response_of(read.body, facts)
        self._output = Output(prompt.reader(), self._begun.id)
        self._splits = prompt.has_parts
        self._scores = _Scores(prepared, self.reply) if read.body.with_logprobs else None

    def begin(self) -> list[Event]:
        """Return the events before the first token."""
        return [*accepted_events(self._begun), ResponseInProgress(response=self._begun)]

    def piece(self, piece: Piece) -> list[Event]:
        """Return the events for more text."""
        if self._scores is None:
            return self._output.feed(piece.text, self.reply.tokens)
        events = self._output.feed(piece.text, self.reply.tokens, self._scores.waiting())
        if events:
            self._scores.pass_on()
        return events

    def end(self) -> list[Event]:
        """Return the events for the end of a complete reply."""
        events = self._output.finish("incomplete" if self._cut else "completed")
        kind = ResponseIncomplete if self._cut else ResponseCompleted
        return [*events, kind(response=self._ended())]

    def failed(self, failure: ReplyFailed | NotReady) -> Event:
        """Return the last event of a stream that fails."""
        return ResponseFailed(response=failed(self._begun, str(failure)))

    def whole(self) -> ResponseObject:
        """Wait for the end, and return the object. Raises ReplyFailed and NotReady."""
        for piece in self.replies.pieces(singly=self._splits):
            if piece is not None:
                self.piece(piece)
                self.replies.check(0)
        self._output.finish("incomplete" if self._cut else "completed")
        return self._ended()

    @property
    def _cut(self) -> bool:
        """True if the reply has ended at its maximum of tokens."""
        return self.replies.ending(0).reason == "length"

    def _ended(self) -> ResponseObject:
        parsed = self._parsed
        prompt, tokens = len(parsed.prompts[0].tokens), self.reply.tokens
        cached = self.reply.cached_tokens()
        response = ended(
            self._begun, self._output, prompt, tokens, cached_tokens=cached, cut=self._cut
        )
        response.receipt = parsed.receipt_of(self.replies)
        return response


class _Scores:
    """The log-probabilities of tokens, from when they arrive until an event has their text."""

    def __init__(self, prepared: Prepared, reply: ReplyText) -> None:
        self._reply = reply
        likeliest = prepared.read.body.top_logprobs or 0
        self._scores = ChatScores(prepared.served.tokenizer, likeliest)
        self._waiting: list[TokenLogprob] = []

    def waiting(self) -> list[TokenLogprob]:
        """Return those that no event has yet."""
        found = self._scores.of(self._reply.places())
        if found and isinstance(found.content, list):
            self._waiting += found.content
        return self._waiting

    def pass_on(self) -> None:
        """Drop them: an event has them now."""
        self._waiting = []


def accepted_events(begun: ResponseObject) -> list[Event]:
    """Return the events of a response that was accepted; in the background, it is queued first."""
    if not begun.background:
        return [ResponseCreated(response=begun)]
    queued = replace(begun, status="queued", temperature=None, top_p=None, system_fingerprint=UNSET)
    return [ResponseCreated(response=queued), ResponseQueued(response=queued)]


def _events(view: View, numbers: Numbers, silence: float) -> Iterator[bytes]:
    """Yield the events that the reader lacks; if the reply fails, an event of that."""
    try:
        yield from events_of(view, numbers, silence)
    except (ReplyFailed, NotReady) as failure:
        yield numbers.outside(view.failed(failure))


def events_of(
    view: View, numbers: Numbers, silence: float, settle: Callable[[], None] | None = None
) -> Iterator[bytes]:
    """Yield the events that the reader lacks; those that are ready together are sent together.

    `settle` is called when only the last ones are left. Raises ReplyFailed and NotReady.
    """
    if begun := numbers.encode(view.begin()):
        yield begun
    for pieces in view.replies.rounds(silence, singly=True):
        if not pieces:
            yield SILENT
            continue
        events = [numbers.encode(view.piece(piece), more=piece.more) for piece in pieces]
        ending = view.reply.ending
        if ending is not None and ending.whole:
            last = _last(view, numbers)
            if settle is not None:
                yield b"".join(events)
                events = []
                settle()
            events.append(last)
        if sent := b"".join(events):
            yield sent
        view.replies.check(0)


def _last(view: View, numbers: Numbers) -> bytes:
    """Return the events for the end of a whole reply."""
    last = numbers.encode(view.end())
    view.replies.close()  # so that it is stored before its reader knows its end
    return last


def number(start: str) -> int:
    """Return the number of the last event that a reader has; -1 if it has none."""
    if start and not (start.isascii() and start.isdigit() and len(start) < 10):
        raise InvalidField(
            "starting_after", f"is {start[:40]!r}; send the sequence_number of an event"
        )
    return int(start) if start else -1
