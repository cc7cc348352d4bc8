"""The native dialect: raw text, one piece per chunk; the end of the body is the end of the reply.

It carries no counts: tokens are counted by the scripted rule (--verify), or else by pieces.
"""

from __future__ import annotations

from typing import ClassVar

from commands.bench.dialects.dialect import Dialect, Reader
from commands.bench.load.requests import Ask


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

    def body(self, ask: Ask, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """Return the body: the prompt is `text`, and the path names the model."""
        return native_body(ask, echo=echo)

    def reader(self) -> Reader:
        """Return a reader of raw text."""
        return RawText()


def native_body(ask: Ask, *, echo: bool) -> dict[str, object]:
    """Return the body that all native routes share."""
    body: dict[str, object] = {"text": ask.prompt, "max_tokens": ask.max_tokens}
    if ask.seed is not None:
        body["seed"] = ask.seed
    if echo:
        body["return_prompt"] = True
    return body
