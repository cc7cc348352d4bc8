"""/generate: a stream of JSON pieces, each followed by a NUL; and TGI's events, one per token.

Each JSON piece repeats the prompt and the reply so far; the reply ends with the body.
"""

from __future__ import annotations

import json
from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.dialects.event_reader import EventReader, count
from commands.bench.load.requests import Request
from http_client.events import Event

REASONS = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}


class Pieces(Reader):
    """Reads {"text": [prompt and reply], "error": 0} pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._unread = b""
        self._reply = ""  # so far

    def feed(self, parts: list[bytes]) -> None:
        """Read the pieces that these parts complete."""
        *pieces, self._unread = (self._unread + b"".join(parts)).split(b"\0")
        for piece in pieces:
            self._read(piece)

    def close(self) -> str | None:
        """Accept the end: a complete body is a complete reply."""
        self.ended = True
        if self._unread:
            self.failure = self.failure or "half a piece at the end"
        return self.failure

    def _read(self, piece: bytes) -> None:
        try:
            data = json.loads(piece)
            text, error = data["text"][0], data["error"]
        except (ValueError, LookupError, TypeError):
            self.failure = self.failure or "a piece that is not JSON with text and error"
            return
        if error:
            self.failure = self.failure or f"error {error}"
        known = self.prompt + self._reply
        if not text.startswith(known):
            self.failure = self.failure or "a piece that does not continue the last one"
        elif new := text.removeprefix(known):
            self.take(new.encode())
            self._reply += new


class Generate(Dialect):
    """POST /generate with a prompt."""

    media_type: ClassVar[str] = "text/plain"
    own: ClassVar[bool] = True

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path; the body names the model."""
        return "/generate"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return a streamed request."""
        body: dict[str, object] = {
            "prompt": request.prompt,
            "model": model,
            "max_tokens": request.max_tokens,
            "stream": True,
        }
        return body if request.seed is None else {**body, "seed": request.seed}

    def reader(self) -> Reader:
        """Return a reader of pieces."""
        return Pieces()


class TokenEvents(EventReader):
    """Reads events of one token each; the last one has `generated_text` and `details`."""

    def on_event(self, event: Event) -> None:
        """Read one `data:` event."""
        data = self.load(event.data)
        if "error" in data:
            self.fail(f"error event: {data['error']}"[:200])
        token = data.get("token")
        if isinstance(token, dict) and token.get("text"):
            self.take(str(token["text"]).encode())
        details = data.get("details")
        if isinstance(details, dict):
            self.ended = True
            self.prompt_tokens = count(details.get("input_length"))
            self.completion_tokens = count(details.get("generated_tokens"))
            self.finish_reason = REASONS.get(str(details.get("finish_reason")))


class TGI(Dialect):
    """POST /generate_stream."""

    own: ClassVar[bool] = True

    def path(self, model: str) -> str:  # noqa: ARG002
        """Return the path."""
        return "/generate_stream"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return a request for details."""
        parameters: dict[str, object] = {"max_new_tokens": request.max_tokens, "details": True}
        if request.seed is not None:
            parameters["seed"] = request.seed
        return {"inputs": request.prompt, "parameters": parameters}

    def reader(self) -> Reader:
        """Return a reader of token events."""
        return TokenEvents()
