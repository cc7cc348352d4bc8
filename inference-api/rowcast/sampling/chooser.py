"""The `Chooser` Protocol: a faster way to the tokens that `Sampler` would choose, bit for bit.

    seat    what the row asks for, and where its noise begins
    edit    the row's past and its fixed edits, before each choice of a row that has any
    choose  logits of some rows ──▶ a token each, or FAILED

The sampler works without one; whoever knows of compiled kernels may give it one. A chooser knows no
log-probabilities.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from rowcast.sampling.draws import Way
from rowcast.sampling_params import SamplingParams

FAILED = -1


class Past(NamedTuple):
    """The different tokens that a row was fed, and how often each stands in its reply."""

    tokens: Tensor  # int64
    counts: Tensor  # fp32


class Changes(NamedTuple):
    """A row's fixed edits: what is added to which token, while the position is below `until`."""

    tokens: Tensor  # int64
    added: Tensor  # fp32
    until: Tensor  # int64
    refused: Tensor | None  # [vocabulary] of bool


class Chooser(Protocol):
    """Chooses tokens for a fixed number of rows."""

    def takes(self, logits: Tensor) -> bool:
        """Whether it can read logits of this dtype, where they lie."""

    def seat(self, row: int, params: SamplingParams, way: Way, stream: int) -> None:
        """Begin a row anew, without edits."""

    def edit(self, row: int, past: Past, changes: Changes) -> None:
        """How the row's logits are edited from now on."""

    def choose(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> list[int]:
        """A token for each of `rows`; `positions` are its indexes in the replies."""
