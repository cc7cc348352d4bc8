"""The record of one request: the inputs of its reply, and who may read it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["open", "ended", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An accepted request.

    `build` identifies the weights and arithmetic, `prompt_digest` the prompts that the
    request was parsed to: if either differs, its reply would not be the same.
    """

    id: str
    team: str
    token_id: str
    request_id: str
    path: str
    body: bytes
    seed: int
    build: str
    prompt_digest: bytes
    created: float  # wall clock
    key: str | None = None  # idempotency key, unique within the team
    state: State = "open"
    owner: str | None = None  # the frontend process that computes it now


def build_version(fingerprint: str, context_length: int) -> str:
    """Return a record's `build`: the tokens of a reply depend on both."""
    return f"{fingerprint}/{context_length}"


@dataclass(frozen=True, slots=True)
class News:
    """What was added to a stream since the last look."""

    number: int  # of the last batch; where the next look begins
    batches: list[bytes]
    state: State
    owner: str | None
    lives: bool  # whether the owner is alive


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What `tend` returns to a process that has written its events."""

    ousted: list[tuple[str, State]]  # streams that were taken from it, or cancelled
    gone: list[str]  # streams that are no longer kept
    news: list[News | None]  # of the streams that it follows
