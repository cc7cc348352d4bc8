"""What is to be loaded, and how: the settings' wishes in the engine's words."""

from dataclasses import dataclass

import torch

from rowcast.engine.kernels.linear_kernel import Kind
from rowcast.errors import UnknownModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """What to load, and how."""

    model: str  # a folder, or ONE_LAYER
    dtype: torch.dtype | None  # None: the model's own
    device: torch.device
    context: int  # 0: as long as the model's own
    rows: int
    weights: Kind | None = None  # what linear layers' weights will be packed as; None: `dtype`
    layers: int = 0  # 0: all; else the first so many
    random: bool = False  # random weights, no download
    mapped: bool = False  # weights stay in their file's dtype, as views of it


def fitting_context(wanted: int, positions: int) -> int:
    """How many positions a row gets; 0 wants all that the model has."""
    if wanted > positions:
        raise UnknownModel(
            f"CONTEXT_LENGTH is {wanted}, but the model has {positions} positions: set it lower"
        )
    return wanted or positions
