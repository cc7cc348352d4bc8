"""What all streamed answers share: their headers, the form of an event, and where to begin.

    id: 57            the reader's position after this event, if it can be resumed
    event: end        its kind, if it is not a piece
    data: {...}

A dialect yields chunks; `streamed` answers with each as soon as it is ready.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rowcast.errors import StreamCut
from rowcast.frontend.reply.positions import Stage
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.response import CONTENT_TYPE, Response

EVENT_STREAM = "text/event-stream; charset=utf-8"
# A comment is a line, not an event: with an empty line after it, many clients dispatch an event
# without data, and fail. Decision 64 has the table.
SILENT = b": waiting\n"
NO_BUFFERING = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
SEED_HEADER = "X-Rowcast-Seed"

_Item = TypeVar("_Item")

_json = json.JSONEncoder(ensure_ascii=False).encode  # `dumps` would make an encoder each time


def streamed(
    reply: ReplyText | Replies, chunks: Iterator[bytes], content_type: str, seed: int
) -> Response:
    """Answer with each chunk when it is ready, and close the reply at its end."""
    headers = {**NO_BUFFERING, CONTENT_TYPE: content_type, SEED_HEADER: str(seed)}
    return Response(body=chunks, headers=headers, close=reply.close)


def server_sent(data: object, *, event: str = "", place: str = "") -> bytes:
    """Encode a server-sent event; `place` is its id."""
    return event_of(_json(data).encode(), event=event, place=place)


def text_event(text: str, place: str) -> bytes:
    """Encode `{"text": ...}` as `server_sent` does; encoding a text alone is a single call."""
    return event_of(b'{"text": %b}' % _json(text).encode(), place=place)


def event_of(data: bytes, *, event: str = "", place: str = "") -> bytes:
    """Return the event that holds this line of encoded data."""
    begin = (f"id: {place}\n" if place else "") + (f"event: {event}\n" if event else "")
    return b"%bdata: %b\n\n" % (begin.encode(), data)


def coalesced(
    items: Iterable[_Item], join: Callable[[_Item, _Item], _Item | None]
) -> Iterator[_Item]:
    """Yield the items, with neighbours joined where `join` returns both as one, and not None."""
    last: _Item | None = None
    for item in items:
        both = None if last is None else join(last, item)
        if both is None and last is not None:
            yield last
        last = item if both is None else both
    if last is not None:
        yield last


def stage_of(reply: ReplyText) -> Stage:
    """Return the stage of the piece that a reply has just returned."""
    return Stage.TEXT if reply.ending is None else Stage.REST


def without_first(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Return a body without its first `count` bytes; it raises StreamCut if it has fewer."""
    return _without_first(chunks, count) if count else chunks


def _without_first(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    left = count
    for chunk in chunks:
        yield chunk[left:]
        left = max(0, left - len(chunk))
    if left:
        raise StreamCut(f"the body ended {left} bytes before the requested position")
