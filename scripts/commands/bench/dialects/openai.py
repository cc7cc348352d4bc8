"""OpenAI's completions as peers serve them: events `data: {json}`, ended by `data: [DONE]`.

`stream_options.include_usage` requests the server's own token counts, which arrive in a last event.
"""

from __future__ import annotations

from abc import abstractmethod

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.event_reader import EventReader, count
from commands.bench.load.requests import Request
from http_client.events import Event


class OpenAIEvents(EventReader):
    """The common part of completions and chat; they differ in the place of a piece."""

    @abstractmethod
    def piece(self, choice: dict[str, object]) -> object:
        """Return the text that one event adds."""

    def on_event(self, event: Event) -> None:
        """Read one `data:` event."""
        if event.data == "[DONE]":
            self.ended = True
            return
        data = self.load(event.data)
        if "error" in data:
            self.fail(f"error event: {data['error']}"[:200])
        self._usage(data.get("usage"))
        choices = data.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._choice(choices[0])

    def _choice(self, choice: dict[str, object]) -> None:
        text = self.piece(choice)
        if isinstance(text, str) and text:
            self.take(text.encode())
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self.finish_reason = reason

    def _usage(self, usage: object) -> None:
        if isinstance(usage, dict):
            self.prompt_tokens = count(usage.get("prompt_tokens"))
            self.completion_tokens = count(usage.get("completion_tokens"))


class CompletionEvents(OpenAIEvents):
    """A piece is `text`."""

    def piece(self, choice: dict[str, object]) -> object:
        """Return the text that one event adds."""
        return choice.get("text")


class OpenAI(Dialect):
    """POST /v1/completions."""

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path; the body names the model."""
        return "/v1/completions"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return a streamed completion of one prompt."""
        return {"prompt": request.prompt, **shared_body(request, model)}

    def reader(self) -> Reader:
        """Return a reader of completion events."""
        return CompletionEvents()


def shared_body(request: Request, model: str) -> dict[str, object]:
    """Return the common fields of completions and chat."""
    body: dict[str, object] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.seed is not None:
        body["seed"] = request.seed
    return body
