"""The stream of a message: events with their types as names, and ids by which it can be resumed.

A message begins once it has a row, since its first event has the number of cached tokens. Silence
ends after COMMENT_SECONDS: with a comment before the message has begun, with a `ping` afterwards.
A stream that fails ends with an `error` event and no `message_stop`, so that a part is never taken
for the whole.
"""

from collections.abc import Iterable, Iterator

import msgspec

from rowcast.errors import NotReady, ReplyFailed
from rowcast.frontend.api.anthropic.errors import error_event
from rowcast.frontend.api.anthropic.types import MessageEvent, Ping
from rowcast.frontend.api.anthropic.view import MessageView
from rowcast.frontend.api.events import SILENT, event_of, stage_of
from rowcast.frontend.reply.positions import Cursor, Stage

_encode = msgspec.json.Encoder().encode


def encoded(event: MessageEvent | Ping, place: str = "") -> bytes:
    """Return an event as it is sent; `place` is its id."""
    return event_of(_encode(event), event=str(event.__struct_config__.tag), place=place)


PING = encoded(Ping())


def events(view: MessageView, cursor: Cursor, silence: float) -> Iterator[bytes]:
    """Yield the events that the reader does not have yet; those ready together as one chunk."""
    yield b""
    reply = view.replies[0]
    for _ in reply.await_row(silence):
        yield SILENT
    try:
        if begun := _new(view.begin(), cursor, 0, Stage.BEGUN):
            yield begun + PING
        for piece in view.replies.pieces(silence, singly=view.singly):
            if piece is None:
                yield PING
                continue
            view.replies.check(0)
            sent = _new(view.piece(piece), cursor, reply.tokens, stage_of(reply))
            if reply.ending is not None:
                sent += _new(view.end(), cursor, reply.tokens, Stage.ENDED)
            if sent:
                yield sent
    except (ReplyFailed, NotReady) as failure:
        yield error_event(failure.status, str(failure), failure)


def _new(new: Iterable[MessageEvent], cursor: Cursor, tokens: int, stage: Stage) -> bytes:
    """Return those of the events that the reader does not have yet."""
    return b"".join(encoded(each, cursor.id()) for each in new if cursor.advance(0, tokens, stage))
