"""What was received for one request: times, status, text, end.

Written by `exchange` while bytes arrive, completed by `byte_checks`, read by `results/`. All
times are `time.perf_counter()` seconds; what did not happen is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """One request from its client's view."""

    index: int
    due: float
    started: float
    sent: float | None = None
    first_byte: float | None = None
    arrivals: list[float] = field(default_factory=list)
    ended: float | None = None
    status: int | None = None
    failure: str | None = None
    detail: str = ""
    text: bytes = b""
    received: int = 0
    received_first: int = 0
    pieces: int = 0
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    usage_tokens: int | None = None
    verified_tokens: int | None = None
    model: str = ""

    @property
    def ok(self) -> bool:
        """True if the answer is complete and reported no error."""
        return self.failure is None

    @property
    def first_piece(self) -> float | None:
        """The time of the first text."""
        return self.arrivals[0] if self.arrivals else None

    @property
    def tokens(self) -> int:
        """The best known count of reply tokens: by the rule, by the server, or its pieces."""
        if self.verified_tokens is not None:
            return self.verified_tokens
        return self.pieces if self.usage_tokens is None else self.usage_tokens

    @property
    def tokens_by(self) -> str:
        """The source of `tokens`."""
        if self.verified_tokens is not None:
            return "rule"
        return "pieces" if self.usage_tokens is None else "usage"

    @property
    def gaps(self) -> list[float]:
        """Seconds between arrivals; pieces that were read together are one arrival."""
        return [
            later - sooner for sooner, later in zip(self.arrivals, self.arrivals[1:], strict=False)
        ]
