"""The `Decoder` Protocol: turns a step's tokens into logits, over the row cache.

    tokens, rows, positions ──▶ one flattened sequence ──▶ logits of the wanted slots
                                                       ──▶ states of any slots, afterwards

`module_decoder` runs transformers' own modules, whatever the architecture; `llama.decoder` is a
faster one for models of the Llama form. Knows no widths, sampling or feeds.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.linear_kernel import LinearKernel


class Decoder(Protocol):
    """A model bound to a cache."""

    @property
    def name(self) -> str:
        """Identifies the arithmetic: equal names give equal bits. Part of the build fingerprint."""

    @property
    def any_width(self) -> bool:
        """True if bits cannot depend on the number of slots, so that no step need be filled up."""

    @property
    def dimensions(self) -> int:
        """The number of values in a state; 0 if the decoder cannot return states."""

    @property
    def classifier(self) -> Tensor | None:
        """The weight of a classifier's head, one row for each label; None: it is no classifier."""

    def logits(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],  # -1: a slot without a token
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        """Return a row of numbers per wanted slot; the next call may overwrite them."""

    def states(self, slots: Sequence[int]) -> Tensor:
        """Return, in fp32, the last states of these slots of the last step.

        They are those that the model's head reads: after the last norm.
        """


DecoderMaker = Callable[[Attention, RowCache, int], tuple[Decoder, LinearKernel | None]]
"""Binds a loaded model to a cache; the number is the maximum of slots per step.

Returns the decoder and the kernel of its products, so that others may use its threads.
"""
