"""How transformers' modules call our attention.

Most call whatever attention function is registered under the configured name, with their options
(scale, window, softcap, sinks): `row_attention` is ours. One that computes attention itself has an
adapter (Falcon). Which architectures are served is decided at load.
"""

import math
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel
from transformers.models.falcon.modeling_falcon import FalconAttention, apply_rotary_pos_emb

from rowcast.engine.decoding.flat_cache import FlatCache
from rowcast.engine.decoding.row_cache import Scores

ATTENTION = "rowcast"


def bind(model: PreTrainedModel, cache: FlatCache) -> None:
    """Make every attention layer of `model` use `cache`."""
    AttentionInterface.register(ATTENTION, row_attention)
    model.config._attn_implementation = ATTENTION  # noqa: SLF001  # Falcon has no public way
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            # It reads token values, which costs a synchronisation and is useless here.
            module.warn_if_padding_and_no_attention_mask = lambda *_ignored: None
        if isinstance(module, FalconAttention):
            module.__class__ = RowFalconAttention
        if hasattr(module, "layer_idx"):
            module.rowcast_cache = cache


def row_attention(  # noqa: PLR0917  # transformers' signature
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_options: Any,
) -> tuple[Tensor, None]:
    """Attend by transformers' interface: [1, heads, tokens, size] to [1, tokens, heads, size]."""
    how = Scores(
        scale=scaling if scaling is not None else query.shape[-1] ** -0.5,
        window=sliding_window or 0,
        softcap=softcap or 0.0,
        sinks=s_aux,
    )
    cache: FlatCache = module.rowcast_cache
    mixed = cache.attend(module.layer_idx, _flat(query), _flat(key), _flat(value), how)
    return mixed.unsqueeze(0), None


def _flat(states: Tensor) -> Tensor:
    """Return [1, heads, tokens, size] as [tokens, heads, size]."""
    return states[0].transpose(0, 1)


class RowFalconAttention(FalconAttention):
    """Falcon's attention over our cache, in its rotary and its ALiBi form."""

    rowcast_cache: FlatCache
    _bias: Tensor | None = None

    def forward(  # noqa: PLR0917  # transformers' signature
        self,
        hidden_states: Tensor,
        alibi: Tensor | None,
        attention_mask: Tensor | None,  # noqa: ARG002
        position_ids: Tensor | None = None,  # noqa: ARG002
        layer_past: Any = None,  # noqa: ARG002
        use_cache: bool = False,  # noqa: ARG002
        output_attentions: bool = False,  # noqa: ARG002
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **_options: Any,
    ) -> tuple[Tensor, None]:
        query, key, value = self._split_heads(self.query_key_value(hidden_states))
        if self.new_decoder_architecture:
            # Keys and values are repeated for every head of a group: keep one of each.
            group = self.num_heads // self.num_kv_heads
            key, value = key[:, :, ::group], value[:, :, ::group]
        if alibi is None and position_embeddings is not None:
            turned = apply_rotary_pos_emb(
                query.transpose(1, 2), key.transpose(1, 2), *position_embeddings
            )
            query, key = (each.transpose(1, 2) for each in turned)
        how = Scores(
            scale=self.inv_norm_factor,
            bias=None if alibi is None else self._alibi_bias(hidden_states),
        )
        mixed = self.rowcast_cache.attend(self.layer_idx, query[0], key[0], value[0], how)
        return self.dense(mixed.flatten(1).unsqueeze(0)), None

    def _alibi_bias(self, like: Tensor) -> Tensor:
        """Return [heads, context]: slope times key position, rounded as transformers rounds it."""
        if self._bias is None or self._bias.device != like.device:
            positions = torch.arange(self.max_position_embeddings, device=like.device)
            slopes = _alibi_slopes(self.num_heads).to(like.device)
            rounded = (slopes[:, None].bfloat16() * positions[None, :]).to(like.dtype)
            self._bias = rounded.float() * self.inv_norm_factor
        return self._bias


def _alibi_slopes(heads: int) -> Tensor:
    """Return a geometric series for a power of two of heads, then every other one of the next."""
    whole = 2 ** math.floor(math.log2(heads))
    base = 2.0 ** -(2.0 ** -(math.log2(whole) - 3))
    slopes = [base**power for power in range(1, whole + 1)]
    if whole < heads:
        extra = 2.0 ** -(2.0 ** -(math.log2(2 * whole) - 3))
        rest = min(whole, heads - whole)
        slopes += [extra**power for power in range(1, 1 + 2 * rest, 2)]
    return torch.tensor(slopes, dtype=torch.float32)
