"""What a dialect must provide: a body to send, and a reader of the answer.

In: a `Request`; then the parts of a 200 answer's body. Out: JSON values; then text, pieces, counts
and the ending, as fields of a `Reader`. Neither class knows sockets, HTTP framing or time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from commands.bench.load.requests import Request


class Reader(ABC):
    """Reads one answer's body. `failure` is what the answer itself reported, or got wrong."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.pieces = 0
        self.ended = False
        self.finish_reason: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.failure: str | None = None
        self.prompt = ""  # an answer may repeat it

    @abstractmethod
    def feed(self, parts: list[bytes]) -> None:
        """Read parts of the body, in order."""

    def close(self) -> str | None:
        """Return what the dialect lacks at the end of the body; None if the reply is complete."""
        if self.failure is None and not self.ended:
            return "no end event"
        return self.failure

    def take(self, text: bytes) -> None:
        """Count one piece of the reply."""
        self.text.append(text)
        self.pieces += 1


class Dialect(ABC):
    """How to request a streamed reply from a server."""

    media_type: ClassVar[str] = "text/event-stream"
    own: ClassVar[bool] = False  # one of Rowcast's: prompts are sized in bytes
    plain_prompt: ClassVar[bool] = True  # the engine gets the prompt's bytes and no others
    can_echo: ClassVar[bool] = False  # the answer can begin with the prompt

    @abstractmethod
    def path(self, model: str) -> str:
        """Return the path to post to."""

    @abstractmethod
    def body(self, request: Request, model: str, *, echo: bool) -> dict[str, object]:
        """Return the body to post."""

    @abstractmethod
    def reader(self) -> Reader:
        """Return a reader for one answer."""
