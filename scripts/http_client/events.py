"""Server-sent events, however the server has split them.

In: parts of a body. Out: `Event`s. Comments are skipped; lines may end in LF or CRLF; an event that
the end of the body cuts off is dropped, as the standard says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Event:
    """The fields of one event."""

    name: str = "message"
    id: str | None = None
    data: str = ""


class EventBlocks:
    """Divides a body into the bytes of single events."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, parts: list[bytes]) -> list[bytes]:
        """Return the blocks that these parts complete."""
        data = self._rest + b"".join(parts)
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for the other half.
            held = data.endswith(b"\r")
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n") + b"\r" * held
        *blocks, self._rest = data.split(b"\n\n")
        return blocks


def parse_event(block: str) -> Event | None:
    """Return the event of a block; None if it has no data."""
    event, lines = Event(), []
    for line in block.split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            lines.append(value)
        elif field == "event":
            event.name = value
        elif field == "id":
            event.id = value
    event.data = "\n".join(lines)
    return event if lines else None


def events_of(body: bytes) -> list[Event]:
    """Return all complete events of a body."""
    blocks = EventBlocks().feed([body])
    events = (parse_event(block.decode(errors="replace")) for block in blocks)
    return [event for event in events if event is not None]
