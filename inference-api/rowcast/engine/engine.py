"""The `Engine` Protocol: a model, its row cache and its sampling, driven by feeds.

The backend seats a prompt in a row, feeds the row tokens, and gets new tokens for every feed that
`draws`, and scores of the prompt tokens that a feed wants `scored`. What an engine returns for a
row may depend on that row's prompt, parameters, seed and tokens, and on nothing else: not on other
rows, nor on how its tokens were cut into feeds.
An engine knows no sessions, no waiting line and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rowcast.sampling_params import SamplingParams
from rowcast.wire import Top


@dataclass(frozen=True, slots=True)
class Seating:
    """What an engine must know of a row before its first feed."""

    params: SamplingParams
    seed: int
    choice: int
    prompt_length: int
    team: str = ""  # in whose turn its grammar is compiled


@dataclass(frozen=True, slots=True)
class Feed:
    """The token ids a row gets in this step; the first belongs at `position` of the row."""

    row: int
    position: int
    tokens: Sequence[int]
    draws: bool  # the row has caught up with this feed: choose what comes next
    scored: Sequence[int] = ()  # what follows each of the first tokens, to be scored


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-probabilities of a feed's `scored` tokens; with the likeliest at each place if asked."""

    logprobs: tuple[float, ...]
    top: tuple[Top, ...] | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a step brought a row: scores of its prompt, new tokens; several where drafts were right.

    Log-probabilities are those of the model's own distribution. A `problem` is the row's end. A row
    that is `late` is set aside: nothing is drawn for it, and the engine has given its last token
    back; once it is `ready` again it is fed that token again, at the same position, and draws.
    """

    row: int
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    problem: str = ""
    top: tuple[Top, ...] | None = None
    scores: Scores | None = None
    ends: bool = False  # nothing can follow: the row's grammar says so
    late: bool = False


class Engine(Protocol):
    """What the backend needs of a model."""

    model: str
    fingerprint: str
    rows: int
    width: int  # the most tokens that one step may be fed, over all rows
    shared_width: int  # the most while rows decode that would feel a longer step
    vocabulary: int  # token ids are below it
    context_length: int  # the most tokens that a row can hold
    end_tokens: frozenset[int]  # the model's own ends of text

    def compile(self) -> None:
        """Do now what would make the first step slow."""

    def seat(self, row: int, seating: Seating) -> None:
        """Begin a row anew."""

    def leave(self, row: int) -> None:
        """Nobody sits in the row any more; what is made for it elsewhere is not needed."""

    def ready(self, row: int) -> bool:
        """Whether a seated row may be fed; what it needs beside its tokens is made elsewhere."""

    def fork(self, source: int, target: int, tokens: Sequence[int]) -> None:
        """Give a row that was seated, and fed nothing yet, the first tokens of another row.

        They are the first that the source was fed, and the first that the target would be.
        """

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        """Feed the rows; draw and score for those that asked. Each row at most once."""
