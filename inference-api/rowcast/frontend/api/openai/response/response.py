"""Answers with a request's replies: one JSON object, or server-sent events that end with [DONE].

A `View` is what differs between completions and chat. A stream that fails sends an error event and
no [DONE], so that a part is never taken for the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, TypeVar, cast

import msgspec

from rowcast.errors import NotReady, ReplyFailed
from rowcast.frontend.api.events import (
    EVENT_STREAM,
    SEED_HEADER,
    SILENT,
    event_of,
    streamed,
)
from rowcast.frontend.api.openai.errors import error_event
from rowcast.frontend.api.openai.parsed_request import ParsedRequest
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.positions import Cursor, Position, Stage
from rowcast.frontend.reply.replies import Piece, Replies
from rowcast.frontend.reply.text import Ending
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import JSON, Response, closed_once_sent, whole
from rowcast.frontend.served_model import ServedModel

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode
_Part = TypeVar("_Part", bound=msgspec.Struct)


class View(Protocol):
    """One request's replies in the format of one route."""

    @property
    def parsed(self) -> ParsedRequest: ...

    @property
    def replies(self) -> Replies: ...

    @property
    def singly(self) -> bool:
        """True if each token is a piece of its own, so that events do not depend on timing."""

    def begin(self) -> Iterable[bytes]:
        """Return the events before the first piece, each as JSON."""

    def piece(self, piece: Piece) -> Iterable[bytes]:
        """Return the events for more of one reply; none if there is nothing to send yet."""

    def end(self, reply: int) -> Iterable[bytes]:
        """Return the events for the end of one reply."""

    def last(self) -> bytes:
        """Return the last event, about all replies, sent on request."""

    def whole(self) -> msgspec.Struct:
        """Wait for the end and return everything as one object."""


def answer(
    frontend: Frontend,
    request: Request,
    served: ServedModel,
    parsed: ParsedRequest,
    show: Callable[[ParsedRequest, Replies], View],
) -> Response:
    """Open the requested replies, and answer in the requested form."""
    count, stream = parsed.candidates * len(parsed.prompts), parsed.body.stream
    start = Position.read(parsed.origin.start if stream else "", count)
    replies = served.open_all(request, parsed.origin, parsed.prompts, start)
    view = show(parsed.known_as(replies.origin), replies)
    if stream:
        events = _events(view, Cursor(start), frontend.settings.comment_seconds)
        return streamed(replies, events, EVENT_STREAM, parsed.seed)
    return _whole(view, replies).with_headers({SEED_HEADER: str(parsed.seed)})


def _whole(view: View, replies: Replies) -> Response:
    """Return everything as one object; the replies are closed once it was sent.

    Until then the request counts as a reader of its stream: a slow client keeps a large answer in
    memory.
    """
    return closed_once_sent(lambda: json_answer(view.whole()), replies.close)


def _events(view: View, cursor: Cursor, silence: float) -> Iterator[bytes]:
    """Yield events from the reader's position on.

    Earlier events are computed too, so that the rest is the same. Events that are ready together
    are sent together: a write costs more than an event. A comment is sent after each `silence`
    seconds without an event.
    """
    begun = [
        event_of(event, place=cursor.id())
        for reply, event in enumerate(view.begin())
        if cursor.advance(reply, 0, Stage.BEGUN)
    ]
    yield b"".join(begun)
    unended = len(view.replies)
    try:
        for piece in view.replies.pieces(silence, singly=view.singly):
            if piece is None:
                yield SILENT
                continue
            unended -= view.replies[piece.reply].ending is not None
            events = _piece_events(view, piece, cursor) + (b"" if unended else _last(view, cursor))
            if events:
                yield events
    except (ReplyFailed, NotReady) as failure:
        yield error_event(failure.status, str(failure), failure)


def _piece_events(view: View, piece: Piece, cursor: Cursor) -> bytes:
    """Return the events for a piece of one reply, and for its end once it has ended."""
    at, reply = piece.reply, view.replies[piece.reply]
    if reply.ending is None:
        return _new_events(view.piece(piece), cursor, at, reply.tokens, Stage.TEXT)
    view.replies.check(at)
    events = _new_events(view.piece(piece), cursor, at, reply.tokens, Stage.REST)
    return events + _new_events(view.end(at), cursor, at, reply.tokens, Stage.ENDED)


def _last(view: View, cursor: Cursor) -> bytes:
    if view.parsed.sums_up and cursor.advance_frame():
        return event_of(view.last(), place=cursor.id()) + DONE
    return DONE


def _new_events(
    events: Iterable[bytes], cursor: Cursor, reply: int, tokens: int, stage: Stage
) -> bytes:
    """Return the events that the reader does not have yet."""
    return b"".join(
        [
            event_of(each, place=cursor.id())
            for each in events
            if cursor.advance(reply, tokens, stage)
        ]
    )


def finish_reason(ending: Ending) -> Literal["stop", "length"]:
    """Return the finish reason of a complete reply."""
    return "length" if ending.reason == "length" else "stop"


def event_data(event: msgspec.Struct) -> bytes:
    """Return an event as JSON."""
    return _encode(event)


def encoded(part: _Part) -> _Part:
    """Return a part of an answer in its final form, so that encoding the whole is only a copy.

    Encoding all of a large answer at once would stop every other stream.
    """
    return cast("_Part", msgspec.Raw(_encode(part)))


def json_answer(data: msgspec.Struct) -> Response:
    """Answer with one JSON object."""
    return whole(_encode(data), JSON)
