"""The native dialect: raw text, one piece a chunk; the end of the body is the end of the reply.

It carries no counts: tokens are known by the scripted rule (--verify), or pieces stand for them.
"""

from __future__ import annotations

from typing import ClassVar

from load.asks import Ask
from load.dialects.dialect import Dialect, Reader


class RawText(Reader):
    """Every part of the body is a piece of text."""

    def feed(self, parts: list[bytes]) -> None:
        """Take pieces in."""
        self.text += parts
        self.pieces += len(parts)

    def close(self) -> str | None:
        """A complete body is a complete reply."""
        self.ended = True
        return None


class Native(Dialect):
    """POST /predictions/<model>."""

    media_type: ClassVar[str] = "text/plain"
    own: ClassVar[bool] = True
    can_echo: ClassVar[bool] = True

    def path(self, model: str) -> str:
        """The route that names its model."""
        return f"/predictions/{model}"

    def body(self, ask: Ask, model: str, *, echo: bool) -> dict[str, object]:  # noqa: ARG002
        """The prompt is `text`; the path names the model."""
        return native_body(ask, echo=echo)

    def reader(self) -> Reader:
        """Raw text."""
        return RawText()


def native_body(ask: Ask, *, echo: bool) -> dict[str, object]:
    """The body that all native routes share."""
    body: dict[str, object] = {"text": ask.prompt, "max_tokens": ask.max_tokens}
    if ask.seed is not None:
        body["seed"] = ask.seed
    if echo:
        body["return_prompt"] = True
    return body
