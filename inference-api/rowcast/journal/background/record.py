"""The record of one background request: a request that is computed though nobody reads its reply.

    queued ──▶ running ──▶ finished | failed
       ▲          │
       └──────────┘ its process ended, or its model is unavailable for now

A queued or running request may become `cancelled`. A record is deleted some time after its end.
"""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDS: frozenset[Phase] = frozenset({"finished", "failed", "cancelled"})
KEY_PREFIX = "background-"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRequest:
    """An accepted request, and what became of it."""

    id: str
    team: str
    token_id: str = ""
    request_id: str = ""
    kind: str  # the dialect that accepted it, which alone shows it
    path: str
    body: bytes
    streamed: bool = False  # its stream may be read, so it is stored as long as the result
    batch: str = ""  # the batch that it is a line of
    label: str = ""  # its name there
    rows: int = 1  # that it takes at once: one for each choice, prompt or text
    created: float  # wall clock, as all times here
    phase: Phase = "queued"
    started: float | None = None
    ended: float | None = None
    status: int = 0  # HTTP status of the result; 0: there is none
    result: bytes = b""  # the body of the answer, or of the error
    reason: str = ""  # why it is queued again

    @property
    def has_ended(self) -> bool:
        return self.phase in ENDS

    @property
    def key(self) -> str:
        """The idempotency key of its stream, which each process that computes it joins."""
        return f"{KEY_PREFIX}{self.id}"


@dataclass(frozen=True, slots=True)
class BackgroundNews:
    """What one look into the journal has shown a frontend."""

    mine: frozenset[str]  # requests that this process still computes
    taken: list[BackgroundRequest]  # those that it computes from now on
    phases: dict[str, Phase]  # of the requests that it watches; without those that are deleted
    waiting: int  # requests of all teams that have not ended
