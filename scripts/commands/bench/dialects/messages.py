"""Anthropic's Messages: named events with ids, ended by `message_stop`."""

from __future__ import annotations

from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.event_reader import EventReader, count
from commands.bench.load.requests import Request
from http_client.events import Event

REASONS = {"max_tokens": "length", "end_turn": "stop", "stop_sequence": "stop"}


class MessageEvents(EventReader):
    """Reads deltas of text, and the usage at the beginning and the end."""

    def on_event(self, event: Event) -> None:
        """Read one event, by its name."""
        data = self.load(event.data)
        if data.get("type") != event.name:
            self.fail(f"an event {event.name[:40]!r} of another type")
        elif event.name == "content_block_delta":
            self._piece(data.get("delta"))
        elif event.name == "message_start":
            message = data.get("message")
            self.prompt_tokens = _tokens(message, "input_tokens")
        elif event.name == "message_delta":
            self._last(data)
        elif event.name == "message_stop":
            self.ended = True
        elif event.name == "error":
            self.fail(f"error event: {data.get('error')}"[:200])

    def _piece(self, delta: object) -> None:
        text = delta.get("text") if isinstance(delta, dict) else None
        if isinstance(text, str) and text:
            self.take(text.encode())

    def _last(self, data: dict[str, object]) -> None:
        self.completion_tokens = _tokens(data, "output_tokens")
        delta = data.get("delta")
        if isinstance(delta, dict):
            self.finish_reason = REASONS.get(str(delta.get("stop_reason")))


def _tokens(data: object, name: str) -> int | None:
    """Return a count of the usage in an object."""
    usage = data.get("usage") if isinstance(data, dict) else None
    return count(usage.get(name)) if isinstance(usage, dict) else None


class Messages(Dialect):
    """POST /v1/messages."""

    plain_prompt: ClassVar[bool] = False

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path; the body names the model."""
        return "/v1/messages"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return a streamed message of one turn."""
        body: dict[str, object] = {
            "model": model,
            "max_tokens": request.max_tokens,
            "messages": [{"role": "user", "content": request.prompt}],
            "stream": True,
        }
        return body if request.seed is None else {**body, "seed": request.seed}

    def reader(self) -> Reader:
        """Return a reader of a message's events."""
        return MessageEvents()
