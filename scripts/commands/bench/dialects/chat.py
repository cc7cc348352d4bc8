"""The native dialect's event stream: pieces as events with ids, ended by an `end` event."""

from __future__ import annotations

import re
from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.event_reader import EventReader, count
from commands.bench.dialects.native import native_body
from commands.bench.load.requests import Request
from http_client.events import Event

_ID = re.compile(r"([0-9]+)(r?)")


class ChatEvents(EventReader):
    """Reads events {"text"} with rising ids, then `end` with the counts, or `error`."""

    def __init__(self) -> None:
        super().__init__()
        self._last = (-1, "")  # tokens so far; "r" if that is the whole reply

    def on_event(self, event: Event) -> None:
        """Handle the three kinds of event."""
        data = self.load(event.data)
        if event.name == "end":
            self._end(data)
        elif event.name == "error":
            self.ended = True
            self.fail(f"error event: {data.get('message')}"[:200])
        elif event.name == "message":
            self._piece(event, data.get("text"))
        else:
            self.fail(f"an unknown event {event.name[:40]!r}")

    def _piece(self, event: Event, text: object) -> None:
        if not isinstance(text, str):
            self.fail("a piece without text")
        elif text:
            self.take(text.encode())
        if event.id is not None:
            self._check_id(event.id)

    def _check_id(self, text: str) -> None:
        found = _ID.fullmatch(text)
        place = (int(found[1]), found[2]) if found else self._last
        if place <= self._last:
            self.fail(f"event id {text[:20]!r} after {self._last}")
        self._last = place

    def _end(self, data: dict[str, object]) -> None:
        self.ended = True
        reason = data.get("finish_reason")
        self.finish_reason = reason if isinstance(reason, str) else None
        self.prompt_tokens = count(data.get("prompt_tokens"))
        self.completion_tokens = count(data.get("completion_tokens"))


class Chat(Dialect):
    """POST /chat/<model>."""

    own: ClassVar[bool] = True

    def path(self, model: str) -> str:
        """Return the route that names its model."""
        return f"/chat/{model}"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return the same body as for the raw text routes."""
        return native_body(request, echo=echo)

    def reader(self) -> Reader:
        """Return a reader of events with ids."""
        return ChatEvents()
