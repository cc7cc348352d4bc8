"""What an engine must know about a model besides its arithmetic. Made when a model is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.decoding.row_cache import LayerShape, RowCache
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.linear_kernel import LinearKernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The properties of one model, as it was loaded."""

    shapes: Mapping[int, LayerShape]  # what each layer caches per token
    context: int  # positions that a row may have
    positions: int  # positions that the model supports
    vocabulary: int
    dtype: torch.dtype  # of states and cache
    device: torch.device
    end_tokens: frozenset[int]
    suppressed: tuple[int, ...]  # never drawn, by the model's own configuration
    digest: str  # of configuration and weights


DecoderMaker = Callable[[Attention, RowCache, int], tuple[Decoder, LinearKernel | None]]
"""Binds a loaded model to a cache; the number is the maximum of slots per step.

Returns the decoder and the kernel of its products, so that others may use its threads.
"""
