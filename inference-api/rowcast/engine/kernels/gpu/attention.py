"""The `Attention` Protocol on a GPU: each token over its own row of the cache.

    slots ──▶ groups: neighbours of one row, at one stretch of positions
          ──▶ spans of 512 keys, each in blocks of 64: scores, weights, mix
          ──▶ spans folded in ascending order, sinks last ──▶ [tokens, heads, value size]

Spans and blocks are counted from the row's first key. A group is 64 pairs of token and head at
most, filled up with zeros, and a pair is one line of it. Two roads fold the same spans by the same
operations: `_attend` one after the other where there are many tokens; where there are few, every
span has a program of its own, and `_fold` reads what they left. So the bits of a token's output
depend on its query, its row up to its position, and the constants.

Hidden keys are left out by comparison. Hidden values are multiplied by zero; `store` keeps what is
not finite out of them (see `token_by_token`).
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from rowcast.engine.kernels.gpu.arithmetic import LOG2E, UNFUSED, multiplied, power, rounded
from rowcast.engine.kernels.gpu.token_by_token import all_finite

PAIRS = tl.constexpr(64)
SPAN, BLOCK = tl.constexpr(512), tl.constexpr(64)
FEWEST = 256  # programs that keep a GPU busy without one per span
HIDDEN = tl.constexpr(float("-inf"))


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
        _attend[tokens, columns, spans if by_span else 1](
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
            _fold[tokens, heads](*numbers, spans, **sizes)
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


@triton.jit(do_not_specialize=["tokens"])
def _attend(  # noqa: C901, PLR0915  # one kernel: its state stays in registers
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    bias: tl.tensor,
    to: tl.tensor,
    parts: tl.tensor,
    sinks: tl.tensor,
    row: tl.tensor,
    position: tl.tensor,
    heads: tl.tensor,
    tokens: tl.tensor,
    kv_heads: tl.tensor,
    context: tl.tensor,
    bias_step: tl.tensor,
    scale: tl.tensor,
    share: tl.constexpr,
    per: tl.constexpr,
    key_size: tl.constexpr,
    key_room: tl.constexpr,
    value_size: tl.constexpr,
    value_room: tl.constexpr,
    window: tl.constexpr,
    softcap: tl.constexpr,
    biased: tl.constexpr,
    sinking: tl.constexpr,
    by_span: tl.constexpr,
) -> None:
    slot, column = tl.program_id(0), tl.program_id(1)
    own_row, at = tl.load(row + slot), tl.load(position + slot)
    row_before = tl.load(row + slot - 1, mask=slot > 0, other=-1)
    at_before = tl.load(position + slot - 1, mask=slot > 0, other=-1)
    together: tl.constexpr = PAIRS // per  # tokens of a group, by position
    leads = (at % together == 0) | (row_before != own_row) | (at_before != at - 1)

    pair = tl.arange(0, PAIRS)
    token = pair // per
    tiles: tl.constexpr = (share + per - 1) // per
    in_share = column % tiles * per + pair % per
    head = column // tiles * share + in_share
    known = (token < together) & (slot + token < tokens) & (in_share < share)
    their_row = tl.load(row + slot + token, mask=known, other=-1)
    last = tl.load(position + slot + token, mask=known, other=-1)
    member = known & (their_row == own_row) & (last == at + token)
    member = member & (last // together == at // together)
    place = (slot + token).to(tl.int64) * heads + head
    lane, out_lane = tl.arange(0, key_room), tl.arange(0, value_room)

    if own_row < 0:
        if not by_span:
            nothing = tl.zeros((PAIRS, value_room), to.dtype.element_ty)
            own = known & (token == 0)
            out = to + place[:, None] * value_size + out_lane
            tl.store(out, nothing, mask=own[:, None] & (out_lane < value_size))
    elif leads:
        queries = tl.load(
            query + place[:, None] * key_size + lane,
            mask=member[:, None] & (lane < key_size),
            other=0.0,
        )
        first = tl.maximum(last - window + 1, 0) if window else tl.zeros_like(last)
        begin = tl.maximum(at - window + 1, 0) if window else 0
        end = tl.max(tl.where(member, last, 0), 0) + 1
        base = (own_row.to(tl.int64) * kv_heads + column // tiles) * context
        low = tl.program_id(2) if by_span else begin // SPAN
        high = low + 1 if by_span else (end - 1) // SPAN + 1
        top = tl.full((PAIRS,), HIDDEN, tl.float32)
        total = tl.zeros((PAIRS,), tl.float32)
        mixed = tl.zeros((PAIRS, value_room), tl.float32)
        for span in range(low, high):
            span_top = tl.full((PAIRS,), HIDDEN, tl.float32)
            span_total = tl.zeros((PAIRS,), tl.float32)
            span_mixed = tl.zeros((PAIRS, value_room), tl.float32)
            start = tl.maximum(span * SPAN, begin // BLOCK * BLOCK)
            for block in range(start, tl.minimum(span * SPAN + SPAN, end), BLOCK):
                scores = _scores(
                    queries, keys, base, block, end, scale, key_size, key_room, softcap
                )
                key = block + tl.arange(0, BLOCK)
                if biased:
                    there = member[:, None] & (key < end)[None, :]
                    own = bias + head[:, None] * bias_step + key[None, :]
                    scores += tl.load(own, mask=there, other=0.0) * LOG2E
                seen = (key[None, :] <= last[:, None]) & (key[None, :] >= first[:, None])
                seen = seen & member[:, None]
                live = member & (block <= last) & (block + BLOCK > first)
                address = values + (base + key[:, None]) * value_size + out_lane
                there = (key < end)[:, None] & (out_lane < value_size)
                span_top, span_total, span_mixed = _mixed(
                    tl.where(seen, scores, HIDDEN),
                    tl.load(address, mask=there, other=0.0),
                    seen,
                    live,
                    span_top,
                    span_total,
                    span_mixed,
                )
            live = member & (span * SPAN <= last) & (span * SPAN + SPAN > first)
            if by_span:
                to_part = parts + (place * tl.num_programs(2) + span) * (value_size + 2)
                inside = live[:, None] & (out_lane < value_size)
                tl.store(to_part[:, None] + out_lane, span_mixed, mask=inside)
                tl.store(to_part + value_size, span_top, mask=live)
                tl.store(to_part + value_size + 1, span_total, mask=live)
            else:
                top, total, mixed = _folded(
                    top, total, mixed, span_top, span_total, span_mixed, live
                )
        if not by_span:
            mixed = _finished(top, total, mixed, sinks + head, member, sinking)
            out = to + place[:, None] * value_size + out_lane
            inside = member[:, None] & (out_lane < value_size)
            tl.store(out, rounded(mixed, to.dtype.element_ty), mask=inside)


@triton.jit
def _scores(
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
def _mixed(
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
def _folded(
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
def _finished(
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


@triton.jit
def _fold(
    to: tl.tensor,
    parts: tl.tensor,
    sinks: tl.tensor,
    row: tl.tensor,
    position: tl.tensor,
    heads: tl.tensor,
    spans: tl.tensor,
    value_size: tl.constexpr,
    value_room: tl.constexpr,
    window: tl.constexpr,
    sinking: tl.constexpr,
) -> None:
    """Fold one pair's spans, as `_attend` does."""
    slot, head = tl.program_id(0), tl.program_id(1) + tl.arange(0, 1)
    own_row, last = tl.load(row + slot), tl.load(position + slot)
    place, lane = slot.to(tl.int64) * heads + head, tl.arange(0, value_room)[None, :]
    inside = lane < value_size
    there = own_row >= 0 + tl.zeros_like(head)
    top = tl.full((1,), HIDDEN, tl.float32)
    total = tl.zeros((1,), tl.float32)
    mixed = tl.zeros((1, value_room), tl.float32)
    first = tl.maximum(last - window + 1, 0) if window else 0
    end = tl.where(own_row >= 0, last // SPAN + 1, 0)
    for span in range(first // SPAN, end):
        part = parts + (place * spans + span) * (value_size + 2)
        span_mixed = tl.load(part[:, None] + lane, mask=inside, other=0.0)
        span_top, span_total = tl.load(part + value_size), tl.load(part + value_size + 1)
        top, total, mixed = _folded(top, total, mixed, span_top, span_total, span_mixed, there)
    mixed = _finished(top, total, mixed, sinks + head, there, sinking)
    out = rounded(tl.where(there[:, None], mixed, 0.0), to.dtype.element_ty)
    tl.store(to + place[:, None] * value_size + lane, out, mask=inside)
