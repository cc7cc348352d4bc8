"""What an engine must know of a model beside how it computes. Made when a model is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.decoding.row_cache import LayerShape, RowCache
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.linear_kernel import LinearKernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one model, as it was loaded."""

    shapes: Mapping[int, LayerShape]  # what each layer keeps of a token
    context: int  # positions that a row may have
    positions: int  # positions that the model knows
    vocabulary: int
    dtype: torch.dtype  # of states and cache
    device: torch.device
    end_tokens: frozenset[int]
    suppressed: tuple[int, ...]  # never drawn, by the model's own configuration
    digest: str  # of configuration and weights


DecoderMaker = Callable[[Attention, RowCache, int], tuple[Decoder, LinearKernel | None]]
"""Binds a loaded model to a cache; the number is the most slots that a step has.

With the decoder comes the kernel that it multiplies with: others may work on its threads."""
