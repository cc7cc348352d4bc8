"""Numbers the events of a stream, and encodes those that a reader lacks.

    tokens     a    b    c    d          deltas      5    6    7    8
    chunks of two: joined deltas         numbers     ·    6    ·    8

Events are numbered before any are joined, so a number means the same place in the reply whatever
STREAMING_CHUNKS is.
"""

from collections.abc import Iterable
from functools import cache

import msgspec
from msgspec.structs import replace

from rowcast.frontend.api.events import coalesced, event_of
from rowcast.frontend.api.openai.responses.response.events import Delta, Event, OutputTextDelta

_encode = msgspec.json.Encoder().encode


class Numbers:
    """Numbers the events of one stream, and encodes those that its reader lacks."""

    def __init__(self, after: int, *, joins: bool = False) -> None:
        """`after`: the last event that the reader has; `joins`: deltas of a chunk are one event."""
        self.last = after  # that the reader has
        self._joins = joins
        self._next = 0
        self._held: list[Event] = []  # of an unfinished chunk

    def encode(self, events: Iterable[Event], *, more: bool = False) -> bytes:
        """Return the events that the reader lacks. `more`: they wait for the rest of a chunk."""
        held = self._held
        for event in events:
            event.sequence_number = self._next
            self._next += 1
            if event.sequence_number > self.last:
                held.append(event)
        if (more and self._joins) or not held:
            return b""
        self._held = []
        self.last = held[-1].sequence_number
        return b"".join([_encoded(each) for each in self._sent(held)])

    def outside(self, event: Event) -> bytes:
        """Return an event that is not a part of the response, with the number of the last one."""
        event.sequence_number = max(self.last, 0)
        return event_of(_encode(event), event=event.name)

    def _sent(self, held: list[Event]) -> Iterable[Event]:
        return coalesced(held, _joined) if self._joins else held


def _joined(first: Event, second: Event) -> Event | None:
    """Return two deltas of one item as one, which has the last number; otherwise None."""
    if not isinstance(first, Delta) or not isinstance(second, Delta):
        return None
    if first.item_id != second.item_id:
        return None
    delta = first.delta + second.delta
    if isinstance(first, OutputTextDelta) and isinstance(second, OutputTextDelta):
        return replace(second, delta=delta, logprobs=[*first.logprobs, *second.logprobs])
    return replace(second, delta=delta)


def _encoded(event: Event) -> bytes:
    return b"id: %d\n%b%b\n\n" % (event.sequence_number, _head(type(event)), _encode(event))


@cache
def _head(kind: type[Event]) -> bytes:
    """Return the lines between an event's id and its data."""
    return event_of(b"", event=str(kind.__struct_config__.tag)).removesuffix(b"\n\n")
