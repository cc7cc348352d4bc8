"""A request's replies as an answer: one JSON object, or server-sent events that end with [DONE].

What differs between completions and chat is a `View`. A stream that fails says so in an error
event and has no [DONE]: a part is never taken for the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Literal, Protocol

import msgspec
from flask import Response

from rowcast.errors import ReplyFailed
from rowcast.frontend.api.openai.asked import Asked
from rowcast.frontend.api.openai.errors import error_body
from rowcast.frontend.frontend import Frontend, streamed
from rowcast.frontend.replies import Piece, Replies
from rowcast.frontend.streaming import EVENT_STREAM, SILENCE_SECONDS, SILENT, Ending

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class View(Protocol):
    """One request's replies in the words of one route."""

    @property
    def asked(self) -> Asked: ...

    @property
    def replies(self) -> Replies: ...

    def begin(self) -> Iterable[msgspec.Struct]:
        """What stands before the first piece."""

    def piece(self, reply: int, text: str) -> Iterable[msgspec.Struct]:
        """More of one reply; nothing when there is nothing to say yet."""

    def end(self, reply: int) -> Iterable[msgspec.Struct]:
        """One reply has ended."""

    def usage(self) -> msgspec.Struct:
        """The last event, where it is asked for."""

    def whole(self) -> msgspec.Struct:
        """All of it as one object; waits for the end."""


def answer(frontend: Frontend, asked: Asked, show: Callable[[Replies], View]) -> Response:
    """Open what is asked for, and answer in the form that is asked for."""
    replies = frontend.open_all(asked.prompts)
    view = show(replies)
    if asked.stream:
        return streamed(replies, _events(view), EVENT_STREAM, asked.seed)
    with closing(replies):
        response = json_answer(view.whole())
    response.headers["X-Rowcast-Seed"] = str(asked.seed)
    return response


def _events(view: View) -> Iterator[bytes]:
    """What comes at the same time leaves together: a write costs more than an event."""
    yield b"".join(map(_event, view.begin()))
    unended = len(view.replies)
    try:
        for piece in view.replies.pieces(SILENCE_SECONDS):
            if piece is None:
                yield SILENT
                continue
            unended -= view.replies[piece.reply].ending is not None
            said = _said(view, piece) + (b"" if unended else _last(view))
            if said:
                yield said
    except ReplyFailed as failure:
        yield _event(error_body(failure.status, str(failure), failure))


def _said(view: View, piece: Piece) -> bytes:
    """More of one reply, and its end when that has come."""
    view.replies.check(piece.reply)
    chunks = [*view.piece(piece.reply, piece.text)]
    if view.replies[piece.reply].ending is not None:
        chunks += view.end(piece.reply)
    return b"".join(map(_event, chunks))


def _last(view: View) -> bytes:
    return (_event(view.usage()) if view.asked.include_usage else b"") + DONE


def _event(data: object) -> bytes:
    return b"data: " + _encode(data) + b"\n\n"


def finish_reason(ending: Ending) -> Literal["stop", "length"]:
    """Of a reply that is whole."""
    return "length" if ending.reason == "length" else "stop"


def json_answer(data: msgspec.Struct) -> Response:
    """One object, at once."""
    return Response(_encode(data), content_type="application/json")
