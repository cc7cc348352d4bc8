"""The `Engine` Protocol: a model, its row cache and its sampling, driven by feeds.

The backend seats a prompt in a row and feeds the row tokens. It gets new tokens for every feed that
`draws`, and scores of the prompt tokens that a feed lists as `scored`. A row that was seated with a
`pooling` returns its vector with the last token of its prompt; for a `mean` it is fed every one.
What an engine returns for a row depends only on that row's prompt, parameters, seed and tokens: not
on other rows, and not on how its tokens were divided into feeds.

Knows no sessions, no waiting line and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Protocol

from msgspec import Struct

from rowcast.sampling_params import SamplingParams
from rowcast.wire import Pooled, Top

SavedCache = mmap | memoryview  # writable; its length is a multiple of an engine's `token_bytes`


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
    pooling: Pooled | None = None  # how the prompt becomes a vector; None: it has none
    logits: tuple[int, ...] = ()  # of these tokens, if it is pooled so
    held: Sequence[int] = ()  # the first tokens, which are in the row's cache and are not fed


class Feed(Struct, frozen=True):
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


class Drawn(Struct, frozen=True):
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


class DrawnVector(Drawn, frozen=True):
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
    dimensions: int  # numbers in a state; 0: it returns none, so vectors may be logits only
    classifies: bool  # a prompt has a label's number, and no reply
    token_bytes: int  # of a row's cache, per token; 0: nothing in it may be used for another reply
    memory: CacheMemory

    def compile(self) -> None:
        """Do in advance the work that would slow down the first step."""

    def seat(self, row: int, seating: Seating) -> None:
        """Start a new reply in a row, as if it had been fed the tokens that it holds."""

    def leave(self, row: int) -> None:
        """Free the row; pending work for it elsewhere is no longer needed."""

    def ready(self, row: int) -> bool:
        """True if a seated row may be fed; False while something that it needs is being made."""

    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        """Give a row the first tokens of another row, which has been fed them.

        The target was seated, but not yet fed; or, in a beam search, it has been fed other tokens,
        and the first `held` are the same. What it has beyond these is forgotten.
        """

    def copy(self, source: int, target: int, count: int) -> None:
        """Copy the first tokens in a row's cache to a row without a reply.

        A row's cache changes only by feeds and copies, not when its reply ends. So a row may be
        seated over what it holds: the tokens that its last reply was fed, or a copy of others.
        """

    def save(self, row: int, count: int) -> SavedCache:
        """Return the first tokens in a row's cache: `count * token_bytes` bytes."""

    def new_saved(self, count: int) -> SavedCache:
        """Return the bytes for so many tokens, to be filled by `save_part`."""

    def save_part(self, row: int, saved: SavedCache, begin: int, end: int) -> None:
        """Write the tokens from `begin` to `end` of a row's cache to their place in `saved`."""

    def load(self, row: int, saved: SavedCache, count: int) -> None:
        """Write the first of the tokens that were saved to the cache of a row without a reply."""

    def trim(self, row: int, length: int) -> None:
        """Forget what a row holds beyond its first `length` tokens, and free the memory.

        They are not in use: nothing at that position is fed to the row before all that precedes it.
        """

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        """Feed the rows, each at most once; draw and score as the feeds request."""
