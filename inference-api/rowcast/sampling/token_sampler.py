"""The `TokenSampler` Protocol: a faster way to the tokens that `Sampler` would choose, bit for bit.

    seat    the row's parameters, and where its noise begins
    edit    the row's past and its fixed edits, before each choice of a row that has any
    choose  logits of some rows ──▶ one token each, or FAILED
    report  logits of some rows, with a token each ──▶ log-probabilities

The sampler works without one; code that knows compiled kernels may pass one in.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from rowcast.sampling.draws import Method
from rowcast.sampling.logprobs import Report
from rowcast.sampling_params import SamplingParams

FAILED = -1


class Past(NamedTuple):
    """The distinct tokens that a row was fed, and how often each occurs in its reply."""

    tokens: Tensor  # int64
    counts: Tensor  # fp32


class Changes(NamedTuple):
    """A row's fixed edits: what is added to which token, while the position is below `until`."""

    tokens: Tensor  # int64
    added: Tensor  # fp32
    until: Tensor  # int64
    refused: Tensor | None  # [vocabulary] of bool


class TokenSampler(Protocol):
    """Chooses tokens for a fixed number of rows."""

    def takes(self, logits: Tensor) -> bool:
        """True if it can read logits of this dtype and memory layout."""

    def seat(self, row: int, params: SamplingParams, method: Method, stream: int) -> None:
        """Start a new reply in a row, without edits."""

    def edit(self, row: int, past: Past, changes: Changes) -> None:
        """Set how the row's logits are edited from now on."""

    def choose(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> list[int]:
        """Return a token for each of `rows`; `positions` are its indexes in the replies."""

    def report(
        self, logits: Tensor, places: Sequence[int], tokens: Sequence[int], counts: Sequence[int]
    ) -> list[Report | None]:
        """Return a report per place of the logits, as `logprobs.report` does."""
