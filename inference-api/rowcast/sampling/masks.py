"""Masks of grammars as flags on the device: [rows, vocabulary], true if a token is not allowed.

    bits, one per token ──table of bytes──▶ flags

Knows no logits; `Edits` stores a row's flags alongside its other edits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.sampling.edits import to_device
from rowcast.sampling.grammars.grammars import Grammars


class Masks:
    """The masks of all rows, over the memory that `Grammars` writes."""

    def __init__(self, grammars: Grammars, vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._bits = torch.frombuffer(grammars.masks, dtype=torch.uint8).view(-1, grammars.stride)
        flags = (torch.arange(256).unsqueeze(1) >> torch.arange(8)) & 1 == 0
        # The eight flags of a byte are one number, so that a look-up moves numbers, not flags.
        self._refused = flags.view(torch.int64).squeeze(1).to(device)

    def refused(self, rows: Sequence[int]) -> Tensor:
        """Return the flags of `rows`."""
        bits = to_device(self._bits[torch.tensor(rows)], self._device)
        return self._refused[bits.int()].view(torch.bool)[:, : self._vocabulary]
