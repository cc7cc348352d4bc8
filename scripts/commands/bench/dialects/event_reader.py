"""Parses server-sent events from body parts, however the server has split them.

In: parts of a body. Out: calls of `on_event` with the event's fields. Comments are skipped; lines
may end in LF or CRLF; an event that the end of the body cuts off is dropped, as the standard says.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass

from commands.bench.dialects.dialect import Reader


@dataclass(slots=True)
class Event:
    """The fields of one event."""

    name: str = "message"
    id: str | None = None
    data: str = ""


class EventReader(Reader):
    """A reader of event streams; a dialect defines the meaning of its events."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Handle one event."""

    def feed(self, parts: list[bytes]) -> None:
        """Read parts, and pass on the events that they complete."""
        data = self._rest + b"".join(parts)
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for the other half.
            held = data.endswith(b"\r")
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n") + b"\r" * held
        *blocks, self._rest = data.split(b"\n\n")
        for block in blocks:
            self._read(block)

    def fail(self, reason: str) -> None:
        """Record the first thing that is wrong with the stream."""
        self.failure = self.failure or reason

    def load(self, data: str) -> dict[str, object]:
        """Return the JSON object of an event; anything else is a failure."""
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        self.fail("an event without a JSON object")
        return {}

    def _read(self, block: bytes) -> None:
        try:
            event = _parse(block.decode("utf-8"))
        except UnicodeDecodeError:
            self.fail("an event that is not UTF-8")
            return
        if event is None:
            return
        if self.ended:
            self.fail("an event after the end event")
        self.on_event(event)


def count(value: object) -> int | None:
    """Return a count from JSON, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parse(block: str) -> Event | None:
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
