"""OpenAI's chat completions. The server renders the messages, so the engine's prompt is unknown."""

from __future__ import annotations

from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.openai import OpenAIEvents, shared_body
from commands.bench.load.requests import Request


class ChatCompletionEvents(OpenAIEvents):
    """A piece is `delta.content`, or a reasoning model's `delta.reasoning_content`."""

    def piece(self, choice: dict[str, object]) -> object:
        """Return the text that one event adds."""
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return None
        return delta.get("content") or delta.get("reasoning_content")


class OpenAIChat(Dialect):
    """POST /v1/chat/completions."""

    plain_prompt: ClassVar[bool] = False

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path; the body names the model."""
        return "/v1/chat/completions"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return the prompt as one user message."""
        messages = [{"role": "user", "content": request.prompt}]
        return {"messages": messages, **shared_body(request, model)}

    def reader(self) -> Reader:
        """Return a reader of chat completion events."""
        return ChatCompletionEvents()
