"""What is kept of one request: all that its reply is a function of, and who may have it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["open", "ended", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request that was accepted.

    `build` names the weights and arithmetic, `asks` is a digest of the prompts that the request
    was read as: where either differs, its reply would not be the same.
    """

    id: str
    team: str
    token_id: str
    request_id: str
    path: str
    body: bytes
    seed: int
    build: str
    asks: bytes
    created: float  # wall clock
    key: str | None = None  # of idempotency, within the team
    state: State = "open"
    owner: str | None = None  # the frontend process that computes it now


@dataclass(frozen=True, slots=True)
class News:
    """What has come to a stream since it was last looked at."""

    number: int  # of the last batch; where the next look begins
    batches: list[bytes]
    state: State
    owner: str | None
    lives: bool  # whether the owner does


@dataclass(frozen=True, slots=True)
class Heard:
    """What a process hears when it has written what it had."""

    ousted: list[tuple[str, State]]  # streams that were taken from it, or cancelled
    gone: list[str]  # streams that are kept no more
    news: list[News | None]  # of those that it follows
