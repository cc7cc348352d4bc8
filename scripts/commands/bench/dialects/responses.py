"""OpenAI's Responses. The server renders the items, so the engine's prompt is unknown."""

from __future__ import annotations

from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.event_reader import EventReader, count
from commands.bench.load.requests import Request
from http_client.events import Event

_REASONS = {"response.completed": "stop", "response.incomplete": "length"}
_DELTAS = ("response.output_text.delta", "response.reasoning_text.delta")


class ResponseEvents(EventReader):
    """Reads typed events; their numbers rise, and the last one has the counts."""

    def __init__(self) -> None:
        super().__init__()
        self._last = -1

    def on_event(self, event: Event) -> None:
        """Read one event."""
        data = self.load(event.data)
        self._check_number(count(data.get("sequence_number")))
        if event.name in _DELTAS:
            self.take(str(data.get("delta")).encode())
        elif event.name in _REASONS:
            self._end(_REASONS[event.name], data.get("response"))
        elif event.name in {"response.failed", "error"}:
            self.ended = True
            self.fail(f"{event.name}: {event.data}"[:200])

    def _check_number(self, number: int | None) -> None:
        if number is None or number <= self._last:
            self.fail(f"event number {number} after {self._last}")
        self._last = number or 0

    def _end(self, reason: str, response: object) -> None:
        self.ended, self.finish_reason = True, reason
        usage = response.get("usage") if isinstance(response, dict) else None
        if isinstance(usage, dict):
            self.prompt_tokens = count(usage.get("input_tokens"))
            self.completion_tokens = count(usage.get("output_tokens"))


class Responses(Dialect):
    """POST /v1/responses."""

    plain_prompt: ClassVar[bool] = False

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path; the body names the model."""
        return "/v1/responses"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return a streamed request with the prompt as its input."""
        body: dict[str, object] = {
            "model": model,
            "input": request.prompt,
            "max_output_tokens": request.max_tokens,
            "stream": True,
        }
        return body if request.seed is None else {**body, "seed": request.seed}

    def reader(self) -> Reader:
        """Return a reader of typed events."""
        return ResponseEvents()
