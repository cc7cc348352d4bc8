"""The `Attention` Protocol on a GPU: each token over its own row of the cache.

    store     a token's key and value to its place, marked if they are not finite
    attend    the weighted values of each token's row, by the kernels of `attention_kernels`

Where there are few tokens, every span of a row has a program of its own; the bits are the same.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from rowcast.engine.kernels.gpu.arithmetic import UNFUSED, rounded
from rowcast.engine.kernels.gpu.attention_kernels import attend, fold
from rowcast.engine.kernels.gpu.softmax import PAIRS, SPAN
from rowcast.engine.kernels.gpu.token_by_token import all_finite

FEWEST = 256  # programs that keep a GPU busy without one per span


class TritonAttention:
    """The `Attention` Protocol by our kernels."""

    def __init__(self, name: str = "triton") -> None:
        self.name = name

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
        *,
        scale: float,
        window: int = 0,
        softcap: float = 0.0,
        sinks: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        tokens, heads, key_size = query.shape
        _, kv_heads, context, value_size = values.shape
        share = heads // kv_heads
        per = min(share, PAIRS.value)
        if not keys.is_contiguous() or not values.is_contiguous():
            raise ValueError("the cache must be contiguous")
        if not tokens:
            return query.new_empty(0, heads, value_size)
        out = query.new_empty(tokens, heads, value_size)
        columns, spans = kv_heads * triton.cdiv(share, per), triton.cdiv(context, SPAN.value)
        by_span = spans > 1 and tokens * columns < FEWEST
        room = (tokens, heads, spans, value_size + 2) if by_span else (1,)
        numbers = (
            out,
            query.new_empty(room, dtype=torch.float32),
            out if sinks is None else sinks.float().contiguous(),
            row,
            position,
            heads,
        )
        sizes: dict[str, Any] = {
            "value_size": value_size,
            "value_room": _room(value_size),
            "window": window,
            "sinking": sinks is not None,
            **UNFUSED,
        }
        attend[tokens, columns, spans if by_span else 1](
            query.contiguous(),
            keys,
            values,
            out if bias is None else bias.float().contiguous(),
            *numbers,
            tokens,
            kv_heads,
            context,
            0 if bias is None else bias.shape[1],
            scale,
            share=share,
            per=per,
            key_size=key_size,
            key_room=_room(key_size),
            softcap=softcap,
            biased=bias is not None,
            by_span=by_span,
            **sizes,
        )
        if by_span:
            fold[tokens, heads](*numbers, spans, **sizes)
        return out

    def store(
        self,
        key: Tensor,
        value: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
    ) -> None:
        """Store key and value; see `token_by_token` for what is not finite."""
        tokens, kv_heads, key_size = key.shape
        if not keys.is_contiguous() or not values.is_contiguous():
            raise ValueError("the cache must be contiguous")
        if tokens:
            _store[tokens, kv_heads](
                key.contiguous(),
                value.contiguous(),
                keys,
                values,
                row,
                position,
                kv_heads,
                keys.shape[2],
                key_size=key_size,
                key_room=_room(key_size),
                value_size=value.shape[2],
                value_room=_room(value.shape[2]),
                **UNFUSED,
            )


def _room(size: int) -> int:
    """Return the lanes of a head: a power of two that products accept."""
    return max(16, int(triton.next_power_of_2(size)))


@triton.jit
def _store(
    key: tl.tensor,
    value: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    row: tl.tensor,
    position: tl.tensor,
    kv_heads: tl.tensor,
    context: tl.tensor,
    key_size: tl.constexpr,
    key_room: tl.constexpr,
    value_size: tl.constexpr,
    value_room: tl.constexpr,
) -> None:
    slot, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    own_row, at = tl.load(row + slot).to(tl.int64), tl.load(position + slot)
    if own_row >= 0:
        from_head = slot * kv_heads + head
        to_head = (own_row * kv_heads + head) * context + at
        lane = tl.arange(0, value_room)
        inside = lane < value_size
        own = tl.load(value + from_head * value_size + lane, mask=inside, other=0.0)
        finite = all_finite(own)
        stored = rounded(tl.where(finite, own.to(tl.float32), 0.0), values.dtype.element_ty)
        tl.store(values + to_head * value_size + lane, stored, mask=inside)
        lane = tl.arange(0, key_room)
        inside = lane < key_size
        own_key = tl.load(key + from_head * key_size + lane, mask=inside, other=0.0)
        marked = tl.where(finite, own_key.to(tl.float32), float("nan"))
        marked = rounded(marked, keys.dtype.element_ty)
        tl.store(keys + to_head * key_size + lane, marked, mask=inside)
