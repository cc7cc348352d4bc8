"""The `Engine` Protocol: a model, its row cache and its sampling, driven by feeds.

The backend seats a prompt in a row and feeds the row tokens. It gets new tokens for every feed that
`draws`, and scores of the prompt tokens that a feed lists as `scored`. A row that was seated with a
`pooling` is fed every token of its prompt, and returns its vector with the last one. What an engine
returns for a row depends only on that row's prompt, parameters, seed and tokens: not on other rows,
and not on how its tokens were divided into feeds.

Knows no sessions, no waiting line and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rowcast.sampling_params import SamplingParams
from rowcast.wire import Pooling, Top


@dataclass(frozen=True, slots=True)
class CacheMemory:
    """How many tokens the caches of all rows may hold together, and what a token takes."""

    tokens: int
    token_bytes: int
    grain: int = 1  # tokens by which a row's memory grows
    shortens: bool = False  # the engine's context is what this memory holds, not the model's own

    def up(self, tokens: int) -> int:
        """Return the tokens that a row has memory for when it holds this many."""
        return -(-tokens // self.grain) * self.grain


@dataclass(frozen=True, slots=True)
class Seating:
    """What an engine must know about a row before its first feed."""

    params: SamplingParams
    seed: int
    choice: int
    prompt_length: int
    team: str = ""  # its grammar is compiled in the turn of this team
    pooling: Pooling | None = None  # how the prompt's states become a vector; None: it has none


@dataclass(frozen=True, slots=True)
class Feed:
    """The token ids that a row gets in this step; the first belongs at `position` of the row."""

    row: int
    position: int
    tokens: Sequence[int]
    draws: bool  # the row has caught up with this feed: choose the next token
    scored: Sequence[int] = ()  # the tokens that follow each of the first ones, to be scored


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-probabilities of a feed's `scored` tokens, and the likeliest ones if requested."""

    logprobs: tuple[float, ...]
    top: tuple[Top, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The tokens that may follow a row of a beam search, likeliest first.

    Beams are compared by `scores`: log-probabilities after penalties, biases and bans.
    `logprobs` and `top` are those of the model's own distribution.
    """

    tokens: tuple[int, ...]
    scores: tuple[float, ...]
    logprobs: tuple[float, ...]
    top: Top = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a step returns for a row: prompt scores, and new tokens (several if drafts were right).

    Log-probabilities are those of the model's own distribution. A `problem` ends the row's reply. A
    row that is `late` is set aside: nothing is drawn for it, and the engine has undone its last
    token. Once the row is `ready` again it is fed that token again, at the same position, and
    draws. With drafts, the first `cached` of the tokens are in the row's cache already and are not
    fed again; the last one never is, so that the row's next feed is one token as without drafts.
    A row of a beam search has `candidates` instead of tokens: as many as there are beams, besides
    those that end a reply.
    """

    row: int
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    problem: str = ""
    top: tuple[Top, ...] | None = None
    scores: Scores | None = None
    ends: bool = False  # nothing can follow: the row's grammar is complete
    late: bool = False
    cached: int = 0
    candidates: Candidates | None = None


@dataclass(frozen=True, slots=True)
class DrawnVector(Drawn):
    """What a step returns for a row whose prompt is complete: its vector, and no tokens."""

    vector: bytes = b""  # fp32, little-endian


class Engine(Protocol):
    """What the backend needs of a model."""

    model: str
    fingerprint: str
    rows: int
    width: int  # the most tokens that one step may be fed, over all rows
    shared_width: int  # the most while many rows decode, which a longer step would slow down
    vocabulary: int  # token ids are below it
    context_length: int  # the most tokens that a row can hold
    end_tokens: frozenset[int]  # the model's own end-of-text tokens
    dimensions: int  # numbers in a prompt's vector; 0: no row may be seated with a pooling
    memory: CacheMemory

    def compile(self) -> None:
        """Do in advance the work that would slow down the first step."""

    def seat(self, row: int, seating: Seating) -> None:
        """Start a new reply in a row."""

    def leave(self, row: int) -> None:
        """Free the row; pending work for it elsewhere is no longer needed."""

    def ready(self, row: int) -> bool:
        """True if a seated row may be fed; False while something that it needs is being made."""

    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        """Give a row the first tokens of another row, which has been fed them.

        The target was seated, but not yet fed; or, in a beam search, it has been fed other tokens,
        and the first `held` are the same. What it has beyond these is forgotten.
        """

    def trim(self, row: int, length: int) -> None:
        """Forget what a row holds beyond its first `length` tokens, and free the memory.

        They are not in use: nothing at that position is fed to the row before all that precedes it.
        """

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        """Feed the rows, each at most once; draw and score as the feeds request."""
