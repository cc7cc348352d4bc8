"""The arithmetic of `sampling.mass`, `noise` and `order` inside a kernel, bit for bit.

    weights     exp((value - top) / temperature), by single operations that round in one way
    fold        those of a row: sums of its columns, as integers; and the sum of all
    uniform     noise by counter
    picked      an index by its share of integers
    ordered     integers that sort like values

A row is in fp32. Token t is at line t // columns of column t % columns, as in `sampling.mass`.
"""

import triton
import triton.language as tl

from rowcast.engine.kernels.gpu.arithmetic import LOG2E

LINES, COLUMNS, PART = tl.constexpr(128), tl.constexpr(32), tl.constexpr(1024)
COLUMN_UNIT, TOKEN_UNIT = tl.constexpr(2.0**40), tl.constexpr(2.0**53)
TO_WHOLE = tl.constexpr(1.5 * 2**23)  # added and subtracted, it rounds half to even
STEP = tl.constexpr(0x9E3779B97F4A7C15)
NOISE_UNIT = tl.constexpr(2.0**-53)


@triton.jit
def weights(values: tl.tensor, top: tl.tensor, temperature: tl.tensor) -> tl.tensor:
    steep = tl.math.div_rn(values - top, temperature + tl.zeros_like(values)) * LOG2E
    steep = tl.where(steep < -127.0, -127.0, steep)
    whole = steep + TO_WHOLE - TO_WHOLE
    rest = steep - whole
    sums = tl.zeros_like(rest) + 1.535336174e-04
    sums = sums * rest + 1.339887486e-03
    sums = sums * rest + 9.618437362e-03
    sums = sums * rest + 5.550332470e-02
    sums = sums * rest + 2.402264791e-01
    sums = sums * rest + 6.931472029e-01
    sums = sums * rest + 1.0
    return sums * ((whole.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def fold(
    row: tl.tensor,
    size: tl.tensor,
    columns: tl.tensor,
    top: tl.tensor,
    temperature: tl.tensor,
    least: tl.tensor,  # weights below it count as 0
    token: tl.tensor,  # only tokens ranked before this one count; below 0: all
    to: tl.tensor,
) -> tl.tensor:
    """Write the sum of each column; return the sum of all."""
    tl.debug_barrier()  # what is written below may still be read
    bound = tl.load(row + tl.maximum(token, 0))
    whole = tl.full((), 0, tl.int64)
    for first in range(0, columns, COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        at = tl.arange(0, LINES)[:, None] * columns + column[None, :]
        inside = (column < columns)[None, :] & (at < size)
        value = tl.load(row + at, mask=inside, other=0.0)
        weight = weights(value, top, temperature)
        earlier = (token < 0) | (value > bound) | ((value == bound) & (at < token))
        weight = tl.where(inside & earlier & (weight >= least), weight, 0.0)
        sums = (_halves(weight).to(tl.float64) * COLUMN_UNIT).to(tl.int64)
        tl.store(to + column, sums, mask=column < columns)
        whole += tl.sum(sums, 0)
    tl.debug_barrier()
    return whole


@triton.jit
def _halves(values: tl.tensor) -> tl.tensor:
    """Add the lower half of the lines to the upper half, until one is left."""
    values = tl.sum(tl.reshape(values, (2, 64, COLUMNS)), 0)
    values = tl.sum(tl.reshape(values, (2, 32, COLUMNS)), 0)
    values = tl.sum(tl.reshape(values, (2, 16, COLUMNS)), 0)
    values = tl.sum(tl.reshape(values, (2, 8, COLUMNS)), 0)
    values = tl.sum(tl.reshape(values, (2, 4, COLUMNS)), 0)
    values = tl.sum(tl.reshape(values, (2, 2, COLUMNS)), 0)
    return tl.sum(values, 0)


@triton.jit
def drawn(
    row: tl.tensor,
    size: tl.tensor,
    columns: tl.tensor,
    top: tl.tensor,
    temperature: tl.tensor,
    least: tl.tensor,
    token: tl.tensor,
    sums: tl.tensor,
    whole: tl.tensor,
    key: tl.tensor,
    lane: tl.tensor,
) -> tl.tensor:
    """Draw a token by what `fold` wrote: first its column, then its line."""
    target = _target(whole, uniform(key, lane))
    index, passed = tl.full((), 0, tl.int64), tl.full((), 0, tl.int64)
    for first in range(0, columns, PART):
        at = first + tl.arange(0, PART)
        units = tl.load(sums + at, mask=at < columns, other=0)
        below = tl.cumsum(units, 0) + passed
        index += tl.sum(tl.where((at < columns) & (below <= target), 1, 0).to(tl.int64), 0)
        passed += tl.sum(units, 0)
    column = tl.minimum(index, columns - 1)
    bound = tl.load(row + tl.maximum(token, 0))
    at = tl.arange(0, LINES) * columns + column
    value = tl.load(row + at, mask=at < size, other=0.0)
    weight = weights(value, top, temperature)
    earlier = (token < 0) | (value > bound) | ((value == bound) & (at < token))
    weight = tl.where((at < size) & earlier & (weight >= least), weight, 0.0)
    units = (weight.to(tl.float64) * TOKEN_UNIT).to(tl.int64)
    target = _target(tl.sum(units, 0), uniform(key, lane + 1))
    below = tl.where(tl.cumsum(units, 0) <= target, 1, 0).to(tl.int64)
    line = tl.minimum(tl.sum(below, 0), LINES - 1)
    return tl.minimum(line * columns + column, size - 1)


@triton.jit
def _target(whole: tl.tensor, chance: tl.tensor) -> tl.tensor:
    return tl.minimum((chance * whole.to(tl.float64)).to(tl.int64), whole - 1)


@triton.jit
def target_of(whole: tl.tensor, key: tl.tensor, lane: tl.tensor) -> tl.tensor:
    """Return the integer that a draw looks for, of `whole`."""
    return _target(whole, uniform(key, lane))


@triton.jit
def key_of(stream: tl.tensor, position: tl.tensor) -> tl.tensor:
    """Return where the noise of one token of a reply begins."""
    return _mixed(stream.to(tl.uint64, bitcast=True) + tl.cast(position + 1, tl.uint64) * STEP)


@triton.jit
def uniform(key: tl.tensor, lane: tl.tensor) -> tl.tensor:
    """Return number `lane` of a position, in [0, 1)."""
    return (_mixed(key + tl.cast(lane + 1, tl.uint64) * STEP) >> 11).to(tl.float64) * NOISE_UNIT


@triton.jit
def _mixed(value: tl.tensor) -> tl.tensor:
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB
    return value ^ (value >> 31)


@triton.jit
def ordered(values: tl.tensor) -> tl.tensor:
    """Return numbers from 0 to 2**32 that sort like the values; both zeros are one."""
    signed = tl.where(values == 0.0, 0.0, values).to(tl.int32, bitcast=True)
    return (signed ^ ((signed >> 31) & 0x7FFFFFFF)).to(tl.int64) + 0x80000000
