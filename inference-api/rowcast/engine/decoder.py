"""The `Decoder` Protocol: what turns a step's tokens into logits, over the row cache.

    tokens, rows, positions ──▶ one flattened sequence ──▶ logits of the wanted slots

`ModuleDecoder` runs transformers' own modules, whatever the architecture; `lean.decoder` has a
faster one for those of the Llama form. Widths, sampling and feeds are not known here.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rowcast.engine.row_cache import RowCache


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


class ModuleDecoder:
    """transformers' modules, called one by one."""

    any_width = False

    def __init__(self, network: PreTrainedModel, cache: RowCache, arithmetic: str) -> None:
        self._network = network
        self._cache = cache
        self._device = next(network.parameters()).device
        self.name = f"modules {arithmetic}"

    def logits(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        place = torch.tensor([rows, positions], dtype=torch.int32, device=self._device)
        self._cache.place(place[0], place[1])
        output = self._network(
            input_ids=torch.tensor([tokens], device=self._device),
            position_ids=place[1].long().unsqueeze(0),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor(wanted, device=self._device),
        )
        logits: Tensor = output.logits[0]
        return logits
