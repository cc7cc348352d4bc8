"""The `Engine` Protocol: a model, its row cache and its sampling, driven by feeds.

The backend seats a prompt in a row, feeds the row tokens, and gets new tokens for every feed that
`draws`. What an engine returns for a row may depend on that row's prompt, parameters, seed and
tokens, and on nothing else: not on other rows, nor on how its tokens were cut into feeds.
An engine knows no sessions, no waiting line and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rowcast.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class Seating:
    """What an engine must know of a row before its first feed."""

    params: SamplingParams
    seed: int
    choice: int
    prompt_length: int


@dataclass(frozen=True, slots=True)
class Feed:
    """The token ids a row gets in this step; the first belongs at `position` of the row."""

    row: int
    position: int
    tokens: Sequence[int]
    draws: bool  # the row has caught up with this feed: choose what comes next


@dataclass(frozen=True, slots=True)
class Drawn:
    """New tokens of a row: one, or more where drafts were right. With a `problem`, its last."""

    row: int
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    problem: str = ""


class Engine(Protocol):
    """What the backend needs of a model."""

    model: str
    fingerprint: str
    rows: int
    width: int  # the most tokens that one step may be fed, over all rows
    shared_width: int  # the most while rows decode that would feel a longer step
    context_length: int  # the most tokens that a row can hold
    end_tokens: frozenset[int]  # the model's own ends of text

    def compile(self) -> None:
        """Do now what would make the first step slow."""

    def seat(self, row: int, seating: Seating) -> None:
        """Begin a row anew."""

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        """Feed the rows; draw for those that asked. Each row at most once."""
