"""A draw among a row's likeliest tokens, without sorting them: `sampling.draws.draw_ranked`.

    threshold   the lowest value among the k likeliest, and how many of its equals are, by 8 bits
    gather      their keys (value, smaller id) and integer masses, in the order of ids
    ranked      who is within top_p, then who is drawn: the key that parts the masses, by halving

Ranks are needed only to sum what ranks before a token, and sums of integers have no order.
"""

import triton
import triton.language as tl

from rowcast.engine.kernels.gpu.weighing import PART, ordered, target_of

DIGITS = tl.constexpr(256)
FEW = tl.constexpr(256)  # gathered tokens that are read together
LOW_BITS = tl.constexpr(0xFFFFFFFF)
MIDDLE = tl.constexpr(0x80000000)
UNIT = tl.constexpr(2.0**44)


@triton.jit
def ranked(
    row: tl.tensor,
    size: tl.tensor,
    top: tl.tensor,
    top_k: tl.tensor,
    temperature: tl.tensor,
    top_p: tl.tensor,
    min_p: tl.tensor,
    key: tl.tensor,
    powers: tl.tensor,
    octaves: tl.tensor,  # entries of `powers` below 1
    room: tl.tensor,  # [3, step]: keys, masses, masses of those that min_p leaves
    step: tl.tensor,
) -> tl.tensor:
    """Return a token."""
    least, equals = _threshold(row, size, top_k)
    _gather(row, size, top, least, equals, temperature, min_p, powers, octaves, room, step)
    tl.debug_barrier()
    lowest = ((least - MIDDLE) << 32).to(tl.int64)
    highest = ((ordered(top) - MIDDLE) << 32) + LOW_BITS
    limit = top_p * _mass(room, room + step, top_k, lowest).to(tl.float64)
    low, high = lowest, highest
    while low < high:  # the lowest key that has less than the limit before it
        middle = (low & high) + ((low ^ high) >> 1)
        before = _mass(room, room + step, top_k, middle + 1)
        within = (before.to(tl.float64) < limit) | (before == 0)
        high = tl.where(within, middle, high)
        low = tl.where(within, low, middle + 1)
    lowest = low
    target = target_of(_mass(room, room + 2 * step, top_k, lowest), key, 0)
    high = highest
    while low < high:  # the highest key up to which there is more than the target
        middle = (low | high) - ((low ^ high) >> 1)
        enough = _mass(room, room + 2 * step, top_k, middle) > target
        low = tl.where(enough, middle, low)
        high = tl.where(enough, high, middle - 1)
    return LOW_BITS - (low & LOW_BITS)


@triton.jit
def _threshold(row: tl.tensor, size: tl.tensor, top_k: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """Return the k-th highest value as `ordered` has it, and how many of its equals to take."""
    digit = tl.arange(0, DIGITS)
    prefix, left = tl.full((), 0, tl.int64), top_k
    for number in range(4):
        shift = 24 - 8 * number
        counts = tl.zeros((DIGITS,), tl.int32)
        for first in range(0, size, PART):
            at = first + tl.arange(0, PART)
            value = ordered(tl.load(row + at, mask=at < size, other=0.0))
            like = (at < size) & ((value >> (shift + 8)) == prefix)
            counts += tl.histogram(((value >> shift) & 255).to(tl.int32), DIGITS, mask=like)
        at_least = (tl.sum(counts, 0) - tl.cumsum(counts, 0) + counts).to(tl.int64)
        chosen = tl.max(tl.where(at_least >= left, digit, -1), 0)
        left -= tl.sum(tl.where(digit == chosen, at_least - counts, 0), 0)
        prefix = prefix * 256 + chosen
    return prefix, left


@triton.jit
def _gather(
    row: tl.tensor,
    size: tl.tensor,
    top: tl.tensor,
    least: tl.tensor,
    equals: tl.tensor,
    temperature: tl.tensor,
    min_p: tl.tensor,
    powers: tl.tensor,
    octaves: tl.tensor,
    room: tl.tensor,
    step: tl.tensor,
) -> None:
    found, met = tl.full((), 0, tl.int64), tl.full((), 0, tl.int64)
    for first in range(0, size, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(row + at, mask=at < size, other=0.0)
        place = ordered(value)
        equal = tl.where((at < size) & (place == least), 1, 0).to(tl.int64)
        taken = (equal == 1) & (tl.cumsum(equal, 0) + met <= equals)
        taken = (at < size) & (taken | (place > least))
        one = tl.where(taken, 1, 0).to(tl.int64)
        to = room + found + tl.cumsum(one, 0) - 1
        below = (value.to(tl.float64) - top.to(tl.float64)) / temperature
        weight = _exponential(below, powers, octaves, taken)
        units = (weight * UNIT).to(tl.int64)
        tl.store(to, ((place - MIDDLE) << 32) + (LOW_BITS - at.to(tl.int64)), mask=taken)
        tl.store(to + step, units, mask=taken)
        tl.store(to + 2 * step, tl.where(weight < min_p, 0, units), mask=taken)
        found += tl.sum(one, 0)
        met += tl.sum(equal, 0)


@triton.jit
def _exponential(
    exponents: tl.tensor, powers: tl.tensor, octaves: tl.tensor, taken: tl.tensor
) -> tl.tensor:
    """Return exp of double exponents up to 0, as `mass.exponential`.

    The table's last two entries are its steps of e, and the logarithm of one.
    """
    steps = exponents * tl.load(powers + octaves + 1)
    lowest = -octaves.to(tl.float64)
    steps = tl.where(steps > lowest, steps, lowest)
    steps = tl.where(steps > 0.0, 0.0, steps)
    whole = tl.floor(steps)
    rest = (steps - whole) * tl.load(powers + octaves + 2)
    base = tl.load(powers + whole.to(tl.int64) + octaves, mask=taken, other=0.0)
    return base * ((rest * 0.5 + 1.0) * rest + 1.0)


@triton.jit
def _mass(keys: tl.tensor, units: tl.tensor, count: tl.tensor, least: tl.tensor) -> tl.tensor:
    """Return the sum of units whose key is at least this one."""
    whole = tl.full((), 0, tl.int64)
    for first in range(0, count, FEW):
        at = first + tl.arange(0, FEW)
        there = tl.load(keys + at, mask=at < count, other=0) >= least
        whole += tl.sum(tl.load(units + at, mask=there & (at < count), other=0), 0)
    return whole
