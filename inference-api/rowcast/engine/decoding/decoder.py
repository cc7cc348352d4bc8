"""The `Decoder` Protocol: what turns a step's tokens into logits, over the row cache.

    tokens, rows, positions ──▶ one flattened sequence ──▶ logits of the wanted slots

`module_decoder` runs transformers' own modules, whatever the architecture; `llama.decoder` has a
faster one for those of the Llama form. Widths, sampling and feeds are not known here.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Decoder(Protocol):
    """A model bound to a cache."""

    @property
    def name(self) -> str:
        """Tells arithmetic that may give other bits apart; part of the build's fingerprint."""

    @property
    def any_width(self) -> bool:
        """Whether bits cannot depend on the number of slots, so that none need be filled up."""

    def logits(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],  # -1: a slot without a token
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        """A row of numbers for each wanted slot; they may be overwritten by the next call."""
