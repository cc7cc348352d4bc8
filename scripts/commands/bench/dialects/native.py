"""The native dialect: raw text, one piece per chunk; the end of the body is the end of the reply.

It carries no counts: tokens are counted by the scripted rule (--verify), or else by pieces.
"""

from __future__ import annotations

from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.load.requests import Request


class RawText(Reader):
    """Every part of the body is a piece of text."""

    def feed(self, parts: list[bytes]) -> None:
        """Read pieces."""
        self.text += parts
        self.pieces += len(parts)

    def close(self) -> str | None:
        """Accept the end: a complete body is a complete reply."""
        self.ended = True
        return None


class Native(Dialect):
    """POST /predictions/<model>."""

    media_type: ClassVar[str] = "text/plain"
    own: ClassVar[bool] = True
    can_echo: ClassVar[bool] = True

    def path(self, model: str) -> str:
        """Return the route that names its model."""
        return f"/predictions/{model}"

    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return the body: the prompt is `text`, and the path names the model."""
        return native_body(request, echo=echo)

    def reader(self) -> Reader:
        """Return a reader of raw text."""
        return RawText()


def native_body(request: Request, *, echo: bool) -> dict[str, object]:
    """Return the body that all native routes share."""
    body: dict[str, object] = {"text": request.prompt, "max_tokens": request.max_tokens}
    if request.seed is not None:
        body["seed"] = request.seed
    if echo:
        body["return_prompt"] = True
    return body
