"""A reader of event streams: the common part of all dialects that answer with events.

In: parts of a body. Out: calls of `on_event`. The first fault of the stream becomes its failure.
"""

from __future__ import annotations

import json
from abc import abstractmethod

from commands.bench.dialects.dialect import Reader
from http_client.events import Event, EventBlocks, parse_event


class EventReader(Reader):
    """A reader of event streams; a dialect defines the meaning of its events."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks = EventBlocks()

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Handle one event."""

    def feed(self, parts: list[bytes]) -> None:
        """Read parts, and pass on the events that they complete."""
        for block in self._blocks.feed(parts):
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
            event = parse_event(block.decode("utf-8"))
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
