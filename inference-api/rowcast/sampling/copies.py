"""Copies of small tensors to where logits are, behind the work that is queued there."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return the values on the device, without waiting for what a GPU has still to do."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
