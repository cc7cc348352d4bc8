"""What a step does between linear layers and attention, each token by itself.

    rms_norm       a Llama's norm of each row
    place_heads    norms of heads, rotation; queries stay, keys and values go to the row cache

Roundings are those of transformers' modules run one by one: to the dtype after each operation.

`place_heads` stores a token whose value is not finite as a key of NaN and a value of zeros.
Attention multiplies hidden values by zero, which would turn an infinity into NaN for tokens that do
not see it; so whoever sees such a token gets NaN, and nobody else is touched.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from rowcast.engine.kernels.gpu.arithmetic import UNFUSED, as_stored, rounded

PART = tl.constexpr(1024)  # values of a row that are read together


def rms_norm(states: Tensor, weight: Tensor, epsilon: float, out: Tensor | None = None) -> Tensor:
    """Return states [tokens, size] / root mean square, times weight."""
    if not states.is_contiguous() or states.shape[1:] != weight.shape:
        raise ValueError(f"states {[*states.shape]} for a norm of {[*weight.shape]}")
    out = torch.empty_like(states) if out is None else out
    if len(states):
        _rms_norm[len(states),](states, weight, out, states.shape[1], epsilon, **UNFUSED)
    return out


@triton.jit
def _rms_norm(
    states: tl.tensor, weight: tl.tensor, to: tl.tensor, size: tl.tensor, epsilon: tl.tensor
) -> None:
    begin = tl.program_id(0).to(tl.int64) * size
    dtype = to.dtype.element_ty
    squares = tl.zeros((PART,), tl.float32)
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(states + begin + at, mask=at < size, other=0.0).to(tl.float32)
        squares = tl.fma(value, value, squares)
    by = _inverse_root(tl.sum(squares, 0), size, epsilon)
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(states + begin + at, mask=at < size, other=0.0).to(tl.float32)
        own = tl.load(weight + at, mask=at < size, other=0.0).to(tl.float32)
        tl.store(
            to + begin + at, rounded(as_stored(value * by, dtype) * own, dtype), mask=at < size
        )


@triton.jit
def _inverse_root(squares: tl.tensor, size: tl.tensor, epsilon: tl.tensor) -> tl.tensor:
    mean = tl.math.div_rn(squares, size * 1.0)
    return tl.math.div_rn(1.0, tl.math.sqrt_rn(mean + epsilon))


def place_heads(
    merged: Tensor,
    keys: Tensor,
    values: Tensor,
    row: Tensor,
    position: Tensor,
    *,
    angles: tuple[Tensor, Tensor] | None = None,
    norms: tuple[Tensor, Tensor] | None = None,
    epsilon: float = 0.0,
) -> Tensor:
    """Split merged [tokens, (heads + 2 kv heads) * size]; return queries [tokens, heads, size].

    `angles` are cos and sin at every position; `norms` the weights for queries and for keys. A slot
    of row -1 stores nothing.
    """
    (_, kv_heads, context, size), tokens = keys.shape, len(merged)
    heads = merged.shape[1] // size - 2 * kv_heads
    if not merged.is_contiguous() or values.shape != keys.shape:
        raise ValueError("merged heads must be contiguous, and keys as large as values")
    if size % 2 or heads < 1 or (heads + 2 * kv_heads) * size != merged.shape[1]:
        raise ValueError(f"{[*merged.shape]} holds no heads of {size} and {kv_heads} KV heads")
    if not keys.is_contiguous() or not values.is_contiguous():
        raise ValueError("the cache must be contiguous")
    query = merged.new_empty(tokens, heads, size)
    cos, sin = angles if angles is not None else (merged, merged)
    of_query, of_key = norms if norms is not None else (merged, merged)
    if tokens:
        _place_heads[tokens, heads + kv_heads](
            merged,
            query,
            keys,
            values,
            row,
            position,
            cos,
            sin,
            of_query,
            of_key,
            epsilon,
            heads,
            kv_heads,
            context,
            size=size,
            half=triton.next_power_of_2(size // 2),
            rotates=angles is not None,
            normed=norms is not None,
            **UNFUSED,
        )
    return query


@triton.jit
def _place_heads(
    merged: tl.tensor,
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    row: tl.tensor,
    position: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    of_query: tl.tensor,
    of_key: tl.tensor,
    epsilon: tl.tensor,
    heads: tl.tensor,
    kv_heads: tl.tensor,
    context: tl.tensor,
    size: tl.constexpr,
    half: tl.constexpr,
    rotates: tl.constexpr,
    normed: tl.constexpr,
) -> None:
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    own_row, at = tl.load(row + token).to(tl.int64), tl.load(position + token).to(tl.int64)
    dtype = query.dtype.element_ty
    lane = tl.arange(0, half)
    inside = lane < size // 2
    begin = merged + (token * (heads + 2 * kv_heads) + head) * size + lane
    low = tl.load(begin, mask=inside, other=0.0).to(tl.float32)
    high = tl.load(begin + size // 2, mask=inside, other=0.0).to(tl.float32)
    if normed:
        weight = tl.where(head < heads, of_query, of_key) + lane
        by = _inverse_root(tl.sum(tl.fma(low, low, high * high), 0), size, epsilon)
        first = tl.load(weight, mask=inside, other=0.0).to(tl.float32)
        second = tl.load(weight + size // 2, mask=inside, other=0.0).to(tl.float32)
        low = as_stored(as_stored(low * by, dtype) * first, dtype)
        high = as_stored(as_stored(high * by, dtype) * second, dtype)
    if rotates:
        angle = at * size + lane
        cosine = tl.load(cos + angle, mask=inside, other=0.0).to(tl.float32)
        sine = tl.load(sin + angle, mask=inside, other=0.0).to(tl.float32)
        turned = as_stored(low * cosine, dtype) - as_stored(high * sine, dtype)
        cosine = tl.load(cos + angle + size // 2, mask=inside, other=0.0).to(tl.float32)
        sine = tl.load(sin + angle + size // 2, mask=inside, other=0.0).to(tl.float32)
        high = as_stored(high * cosine, dtype) + as_stored(low * sine, dtype)
        low = turned
    if head < heads:
        to = query + (token * heads + head) * size + lane
        tl.store(to, rounded(low, dtype), mask=inside)
        tl.store(to + size // 2, rounded(high, dtype), mask=inside)
    elif own_row >= 0:
        value = begin + kv_heads * size
        low_value = tl.load(value, mask=inside, other=0.0).to(tl.float32)
        high_value = tl.load(value + size // 2, mask=inside, other=0.0).to(tl.float32)
        place = ((own_row * kv_heads + head - heads) * context + at) * size + lane
        finite = all_finite(low_value) & all_finite(high_value)
        low_key = rounded(tl.where(finite, low, float("nan")), dtype)
        high_key = rounded(tl.where(finite, high, float("nan")), dtype)
        tl.store(keys + place, low_key, mask=inside)
        tl.store(keys + place + size // 2, high_key, mask=inside)
        low_stored = rounded(tl.where(finite, low_value, 0.0), dtype)
        high_stored = rounded(tl.where(finite, high_value, 0.0), dtype)
        tl.store(values + place, low_stored, mask=inside)
        tl.store(values + place + size // 2, high_stored, mask=inside)


@triton.jit
def all_finite(values: tl.tensor) -> tl.tensor:
    """Return whether all of a tile's values are finite."""
    infinite = tl.where(tl.abs(values.to(tl.float32)) < float("inf"), 0, 1)
    return tl.sum(infinite, 0) == 0
