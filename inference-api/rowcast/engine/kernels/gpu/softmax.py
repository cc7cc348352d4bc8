"""Softmax in parts: scores of a block of keys, a block to its span, a span to those before it.

    scores_of     in powers of two
    mixed_with    a block's weights and values, added to its span
    folded        a span, added to those before it
    finished      sinks, and the division by the sum of weights

A line of a tile is one pair of token and head, and lines do not meet. Hidden keys are left out by
comparison. Hidden values are multiplied by zero; what is not finite never gets into the cache (see
`token_by_token`).
"""

import triton
import triton.language as tl

from rowcast.engine.kernels.gpu.arithmetic import LOG2E, multiplied, power, rounded

PAIRS = tl.constexpr(64)
SPAN, BLOCK = tl.constexpr(512), tl.constexpr(64)
HIDDEN = tl.constexpr(float("-inf"))


@triton.jit
def scores_of(
    queries: tl.tensor,
    keys: tl.tensor,
    base: tl.tensor,
    block: tl.tensor,
    end: tl.tensor,
    scale: tl.tensor,
    key_size: tl.constexpr,
    key_room: tl.constexpr,
    softcap: tl.constexpr,
) -> tl.tensor:
    """Return the scores of a block's keys, in powers of two."""
    key, lane = block + tl.arange(0, BLOCK), tl.arange(0, key_room)
    address = keys + (base + key[None, :]) * key_size + lane[:, None]
    there = (key < end)[None, :] & (lane < key_size)[:, None]
    zeros = tl.zeros((PAIRS, BLOCK), tl.float32)
    scores = multiplied(queries, tl.load(address, mask=there, other=0.0), zeros)
    if softcap > 0:
        return _tanh(scores * (scale / softcap)) * (softcap * LOG2E)
    return scores * (scale * LOG2E)


@triton.jit
def mixed_with(
    scores: tl.tensor,
    values: tl.tensor,
    seen: tl.tensor,
    live: tl.tensor,
    top: tl.tensor,
    total: tl.tensor,
    mixed: tl.tensor,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Add a block to its span, for the pairs that see any of it."""
    new_top = tl.where(live, tl.maximum(top, tl.max(scores, 1)), top)
    weights = tl.where(seen, power(scores - new_top[:, None]), 0.0)
    keep = power(top - new_top)
    added = multiplied(rounded(weights, values.dtype), values, mixed * keep[:, None])
    new_total = tl.fma(total, keep, tl.sum(weights, 1))
    return (
        new_top,
        tl.where(live, new_total, total),
        tl.where(live[:, None], added, mixed),
    )


@triton.jit
def _tanh(values: tl.tensor) -> tl.tensor:
    return 1.0 - tl.math.div_rn(2.0, power(values * (2.0 * LOG2E)) + 1.0)


@triton.jit
def folded(
    top: tl.tensor,
    total: tl.tensor,
    mixed: tl.tensor,
    span_top: tl.tensor,
    span_total: tl.tensor,
    span_mixed: tl.tensor,
    live: tl.tensor,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Add a span to those before it, for the pairs that see any of it."""
    new_top = tl.where(live, tl.maximum(top, span_top), top)
    keep, gain = power(top - new_top), power(span_top - new_top)
    new_total = tl.fma(total, keep, span_total * gain)
    new_mixed = tl.fma(mixed, keep[:, None] + tl.zeros_like(mixed), span_mixed * gain[:, None])
    return (
        new_top,
        tl.where(live, new_total, total),
        tl.where(live[:, None], new_mixed, mixed),
    )


@triton.jit
def finished(
    top: tl.tensor,
    total: tl.tensor,
    mixed: tl.tensor,
    sinks: tl.tensor,
    member: tl.tensor,
    sinking: tl.constexpr,
) -> tl.tensor:
    """Return weighted values: sinks weigh, and have none."""
    if sinking:
        sink = tl.load(sinks, mask=member, other=0.0) * LOG2E
        new_top = tl.maximum(top, sink)
        keep = power(top - new_top)
        total = tl.fma(total, keep, power(sink - new_top))
        mixed = mixed * keep[:, None]
    return tl.math.div_rn(mixed, tl.where(member, total, 1.0)[:, None] + tl.zeros_like(mixed))
