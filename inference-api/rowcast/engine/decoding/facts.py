"""What an engine must know about a model besides its arithmetic. Made when a model is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.decoding.row_cache import LayerShape


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
