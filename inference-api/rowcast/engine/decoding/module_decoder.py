"""Decodes any supported architecture: transformers' own modules, one by one, over our cache."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from rowcast.engine.decoding import module_attention
from rowcast.engine.decoding.classifier import WEIGHT
from rowcast.engine.decoding.flat_cache import BoundCache
from rowcast.engine.decoding.row_cache import RowCache


class ModuleDecoder:
    """A decoder of transformers' modules, called one by one."""

    any_width = False

    def __init__(self, network: PreTrainedModel, cache: RowCache, arithmetic: str) -> None:
        self._network = network
        self._bound = BoundCache(cache)
        module_attention.bind(network, self._bound)
        self._cache = cache
        self._states = torch.empty(1, 0, 0)  # of the last step
        network.get_decoder().register_forward_hook(self._note_states)
        self.dimensions: int = network.get_input_embeddings().weight.shape[-1]
        self.classifier: torch.Tensor | None = getattr(network, WEIGHT, None)
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
            past_key_values=self._bound,
            use_cache=True,
            logits_to_keep=torch.tensor(wanted, device=self._device),
        )
        logits: Tensor = output.logits[0]
        return logits

    def states(self, slots: Sequence[int]) -> Tensor:
        return self._states[0, torch.tensor(slots, device=self._device)].float()

    def _note_states(
        self, _module: torch.nn.Module, _inputs: object, output: BaseModelOutputWithPast
    ) -> None:
        self._states = output.last_hidden_state
