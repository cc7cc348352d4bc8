"""Attention of a step's tokens: which keys a program reads, and where its results go.

    slots ──▶ groups: neighbours of one row, at one stretch of positions
          ──▶ spans of 512 keys, each in blocks of 64: scores, weights, mix
          ──▶ spans folded in ascending order, sinks last ──▶ [tokens, heads, value size]

Spans and blocks are counted from the row's first key. A group is 64 pairs of token and head at
most, filled up with zeros, and a pair is one line of it. Two roads fold the same spans by the same
operations of `softmax`: `attend` one after the other where there are many tokens; where there are
few, every span has a program of its own, and `fold` reads what they left. So the bits of a token's
output depend on its query, its row up to its position, and the constants.
"""

import triton
import triton.language as tl

from rowcast.engine.kernels.gpu.arithmetic import LOG2E, rounded
from rowcast.engine.kernels.gpu.softmax import (
    BLOCK,
    HIDDEN,
    PAIRS,
    SPAN,
    finished,
    folded,
    mixed_with,
    scores_of,
)


@triton.jit(do_not_specialize=["tokens"])
def attend(  # noqa: C901, PLR0915  # one kernel: its state stays in registers
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
                scores = scores_of(
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
                span_top, span_total, span_mixed = mixed_with(
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
                top, total, mixed = folded(
                    top, total, mixed, span_top, span_total, span_mixed, live
                )
        if not by_span:
            mixed = finished(top, total, mixed, sinks + head, member, sinking)
            out = to + place[:, None] * value_size + out_lane
            inside = member[:, None] & (out_lane < value_size)
            tl.store(out, rounded(mixed, to.dtype.element_ty), mask=inside)


@triton.jit
def fold(
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
    """Fold one pair's spans, as `attend` does."""
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
        top, total, mixed = folded(top, total, mixed, span_top, span_total, span_mixed, there)
    mixed = finished(top, total, mixed, sinks + head, there, sinking)
    out = rounded(tl.where(there[:, None], mixed, 0.0), to.dtype.element_ty)
    tl.store(to + place[:, None] * value_size + lane, out, mask=inside)
