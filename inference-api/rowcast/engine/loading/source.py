"""What to load, and how: the settings in the engine's terms."""

from dataclasses import dataclass

import torch

from rowcast.engine.kernels.packed_weight import Kind
from rowcast.errors import UnknownModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """What to load, and how."""

    model: str  # a folder, or ONE_LAYER
    dtype: torch.dtype | None  # None: the model's own
    device: torch.device
    context: int  # 0: the model's own length
    rows: int
    weights: Kind | None = None  # the packing of linear layers' weights; None: `dtype`
    prefixes: int | None = 0  # bytes of the store of prefixes; None: the default
    memory: int = 0  # bytes of the KV cache; 0: what fits
    gpu_memory: float = 1.0  # share of a GPU's free memory that may be used
    layers: int = 0  # 0: all; else only the first ones
    random: bool = False  # random weights, no download
    mapped: bool = False  # weights stay in their file's dtype, as views of it


def fitting_context(wanted: int, positions: int) -> int:
    """Return the positions per row; `wanted` 0 means all that the model has."""
    if wanted > positions:
        raise UnknownModel(
            f"CONTEXT_LENGTH is {wanted}, but the model has {positions} positions: lower it"
        )
    return wanted or positions
