"""One program per row: the token that `sampling` draws, by a line of the token sampler's table.

    choose    copies a row's logits, edits the copy, and draws by the row's method
    a line    eight bytes each: whole numbers and addresses, then reals

The past and the edits of a row are read where the sampler keeps them.
"""

import triton
import triton.language as tl

from rowcast.engine.kernels.gpu.ranking import ranked
from rowcast.engine.kernels.gpu.weighing import PART, drawn, fold, key_of
from rowcast.sampling.token_sampler import FAILED

GREEDY, RANKED, OPEN = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
NONE = tl.constexpr(FAILED)

METHOD, TOP_K, STREAM, EDITED = (tl.constexpr(at) for at in range(4))
SEEN, COUNTS, SEEN_COUNT = (tl.constexpr(at) for at in range(4, 7))  # addresses
CHANGED, ADDED, UNTIL, CHANGED_COUNT, REFUSED = (tl.constexpr(at) for at in range(7, 12))
TEMPERATURE, TOP_P, MIN_P = (tl.constexpr(at) for at in range(12, 15))
REPETITION, PRESENCE, FREQUENCY = (tl.constexpr(at) for at in range(15, 18))
WIDTH = tl.constexpr(18)


@triton.jit
def choose(
    logits: tl.tensor,
    step: tl.tensor,
    size: tl.tensor,
    columns: tl.tensor,
    table: tl.tensor,
    reals: tl.tensor,
    draws: tl.tensor,  # [2, all rows]: rows, positions
    all_rows: tl.tensor,
    own: tl.tensor,
    sums: tl.tensor,
    room: tl.tensor,
    most: tl.tensor,
    powers: tl.tensor,
    octaves: tl.tensor,
    tokens: tl.tensor,
) -> None:
    place = tl.program_id(0).to(tl.int64)
    seat = table + tl.load(draws + place) * WIDTH
    real = reals + tl.load(draws + place) * WIDTH
    position = tl.load(draws + all_rows + place)
    own, sums, room = own + place * size, sums + place * columns, room + place * 3 * most
    top, infinite = _copied(logits + place * step, own, size)
    if tl.load(seat + EDITED) != 0:
        top = _edited(own, size, seat, real, position)
    token = tl.full((), NONE, tl.int64)
    if (infinite == 0) & (tl.abs(top) < float("inf")):
        temperature = tl.load(real + TEMPERATURE)
        top_p, min_p = tl.load(real + TOP_P), tl.load(real + MIN_P)
        key = key_of(tl.load(seat + STREAM), position)
        number = tl.load(seat + METHOD)
        if number == GREEDY:
            token = _first(own, size, top)
        elif number == RANKED:
            token = ranked(
                own,
                size,
                top,
                tl.load(seat + TOP_K),
                temperature,
                top_p,
                min_p,
                key,
                powers,
                octaves,
                room,
                most,
            )
        else:
            token = _open(
                own,
                size,
                columns,
                top,
                temperature.to(tl.float32),
                top_p,
                min_p.to(tl.float32),
                key,
                sums,
            )
    tl.store(tokens + place, token)


@triton.jit
def _copied(logits: tl.tensor, own: tl.tensor, size: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """Copy a row in fp32; return its highest logit, and how many are not finite."""
    highest = tl.full((PART,), float("-inf"), tl.float32)
    infinite = tl.zeros((PART,), tl.int32)
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(logits + at, mask=at < size, other=0.0).to(tl.float32)
        tl.store(own + at, value, mask=at < size)
        infinite += tl.where(tl.abs(value) < float("inf"), 0, 1)
        highest = tl.maximum(highest, tl.where(at < size, value, float("-inf")))
    tl.debug_barrier()
    return tl.max(highest, 0), tl.sum(infinite, 0)


@triton.jit
def _edited(
    own: tl.tensor, size: tl.tensor, seat: tl.tensor, real: tl.tensor, position: tl.tensor
) -> tl.tensor:
    """Edit a row; return its highest logit, infinite if any is NaN."""
    seen = tl.load(seat + SEEN).to(tl.pointer_type(tl.int64))
    counts = tl.load(seat + COUNTS).to(tl.pointer_type(tl.float32))
    repetition = tl.load(real + REPETITION).to(tl.float32)
    presence = tl.load(real + PRESENCE).to(tl.float32)
    frequency = tl.load(real + FREQUENCY).to(tl.float32)
    many = tl.load(seat + SEEN_COUNT)
    for first in range(0, many, PART):
        at = first + tl.arange(0, PART)
        token = tl.load(seen + at, mask=at < many, other=0)
        count = tl.load(counts + at, mask=at < many, other=0.0)
        value = tl.load(own + token, mask=at < many, other=0.0)
        divided = tl.math.div_rn(value, repetition + tl.zeros_like(value))
        value = tl.where(value < 0, value * repetition, divided)
        value -= count * frequency
        value -= tl.where(count > 0, presence, 0.0)
        tl.store(own + token, value, mask=at < many)
    tl.debug_barrier()
    changed = tl.load(seat + CHANGED).to(tl.pointer_type(tl.int64))
    added = tl.load(seat + ADDED).to(tl.pointer_type(tl.float32))
    until = tl.load(seat + UNTIL).to(tl.pointer_type(tl.int64))
    many = tl.load(seat + CHANGED_COUNT)
    for first in range(0, many, PART):  # a token has one bias at most
        at = first + tl.arange(0, PART)
        token = tl.load(changed + at, mask=at < many, other=0)
        due = position < tl.load(until + at, mask=at < many, other=0)
        more = tl.load(added + at, mask=at < many, other=0.0)
        biased = (at < many) & due & (tl.abs(more) < float("inf"))
        value = tl.load(own + token, mask=biased, other=0.0)
        tl.store(own + token, value + more, mask=biased)
    tl.debug_barrier()
    for first in range(0, many, PART):  # and else only -inf
        at = first + tl.arange(0, PART)
        token = tl.load(changed + at, mask=at < many, other=0)
        due = position < tl.load(until + at, mask=at < many, other=0)
        more = tl.load(added + at, mask=at < many, other=0.0)
        banned = (at < many) & due & (more == float("-inf"))
        tl.store(own + token, more, mask=banned)
    tl.debug_barrier()
    refused = tl.load(seat + REFUSED)
    flags = refused.to(tl.pointer_type(tl.int8))
    highest = tl.full((PART,), float("-inf"), tl.float32)
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(own + at, mask=at < size, other=float("-inf"))
        out = tl.load(flags + at, mask=(at < size) & (refused != 0), other=0) != 0
        value = tl.where(out, float("-inf"), value)
        tl.store(own + at, value, mask=(at < size) & out)
        highest = tl.maximum(highest, tl.where(value == value, value, float("inf")))  # noqa: PLR0124
    tl.debug_barrier()
    return tl.max(highest, 0)


@triton.jit
def _first(own: tl.tensor, size: tl.tensor, top: tl.tensor) -> tl.tensor:
    """Return the first token with the highest logit."""
    least = tl.zeros((PART,), tl.int32) + size
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(own + at, mask=at < size, other=float("-inf"))
        least = tl.minimum(least, tl.where(value == top, at, size))
    return tl.min(least, 0).to(tl.int64)


@triton.jit
def _open(
    own: tl.tensor,
    size: tl.tensor,
    columns: tl.tensor,
    top: tl.tensor,
    temperature: tl.tensor,
    top_p: tl.tensor,
    min_p: tl.tensor,
    key: tl.tensor,
    sums: tl.tensor,
) -> tl.tensor:
    """Draw from the whole vocabulary, until a token is within top_p."""
    everything = tl.full((), -1, tl.int64)
    part = fold(own, size, columns, top, temperature, 0.0, everything, sums)
    limit = top_p * part.to(tl.float64)
    if min_p > 0:
        part = fold(own, size, columns, top, temperature, min_p, everything, sums)
    lane = tl.full((), 0, tl.int64)
    token = drawn(own, size, columns, top, temperature, min_p, everything, sums, part, key, lane)
    refused = tl.where(top_p < 1, 1, 0)
    while refused != 0:
        lane += 2
        part = fold(own, size, columns, top, temperature, min_p, token, sums)
        refused = tl.where((part.to(tl.float64) >= limit) & (part > 0), 1, 0)
        again = drawn(own, size, columns, top, temperature, min_p, token, sums, part, key, lane)
        token = tl.where(refused != 0, again, token)
    return token
