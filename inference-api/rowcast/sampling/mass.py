"""Probability mass: weights of tokens, their sums, and a draw by inverse distribution function.

Sums must not depend on how many rows are computed together, and torch's reductions do. So sums
here are either folds, halves added to halves in one fixed shape, or sums of integers, which are
exact in any order:

    logits ─ weigh ─▶ [n, lines, columns] ─ folded ─▶ integers [n, columns] ─ draw ─▶ token

Token t is at line t // columns of column t % columns. Knows no parameters but the temperature.
"""

import math

import torch
from torch import Tensor

_LINES = 128
_COLUMN_UNIT = 2.0**40
_TOKEN_UNIT = 2.0**53
OCTAVES = 64
STEPS = 1024  # of the table, within an octave
_LOG2_E = math.log2(math.e)
_LOWEST, _BIAS, _MANTISSA = -127.0, 127, 23  # of single precision
_POWER = (
    1.535336174e-04,
    1.339887486e-03,
    9.618437362e-03,
    5.550332470e-02,
    2.402264791e-01,
    6.931472029e-01,
    1.0,
)  # 2 ** x for x from -0.5 to 0.5, highest term first


def columns(size: int) -> int:
    """Return the columns of weights for a vocabulary of `size`."""
    return -(-size // _LINES)


def padded(size: int) -> int:
    """Return the weights for a row of `size` logits, including padding."""
    return columns(size) * _LINES


def weigh(values: Tensor, top: Tensor, temperature: Tensor | None, out: Tensor) -> Tensor:
    """Write exp((values - top) / temperature) to `out` [n, padded], as [n, lines, columns]."""
    size = values.shape[1]
    weights = torch.sub(values, top, out=out[:, :size])
    if temperature is not None:
        weights.div_(temperature)
    _raise_two_to(weights.mul_(_LOG2_E))
    out[:, size:] = 0
    return out.view(len(out), _LINES, -1)


def _raise_two_to(exponents: Tensor) -> None:
    """Raise two to the power of numbers up to 0, in place; 0 far below.

    Uses single operations that are each rounded in one way only, at any position of an element and
    on every device: a vector library's own exp does not guarantee that.
    """
    whole = exponents.clamp_(min=_LOWEST).round()
    rest = exponents - whole
    exponents.fill_(_POWER[0])
    for term in _POWER[1:]:
        exponents.mul_(rest).add_(term)
    exponents.mul_(((whole.int() + _BIAS) << _MANTISSA).view(torch.float32))


def folded(weights: Tensor) -> Tensor:
    """Return the sum of each column, as integers."""
    while weights.shape[1] > 1:
        half = weights.shape[1] // 2
        weights = weights[:, :half] + weights[:, half:]
    return _integers(weights.squeeze(1), _COLUMN_UNIT)


def total(sums: Tensor) -> Tensor:
    """Return the mass of each row, [n, 1], in the units of `folded`."""
    return sums.sum(-1, keepdim=True)


def logarithm(mass: int) -> float:
    """Return the natural logarithm of a `total`."""
    return math.log(mass / _COLUMN_UNIT)


def draw(weights: Tensor, sums: Tensor, noise: Tensor) -> Tensor:
    """Draw a token for each row, [n, 1], by its weight: first its column, then its line."""
    column = pick(sums, noise[:, :1])
    members = weights.gather(2, column.unsqueeze(1).expand(-1, _LINES, 1)).squeeze(2)
    line = pick(_integers(members, _TOKEN_UNIT), noise[:, 1:])
    return line * weights.shape[2] + column


def pick(units: Tensor, noise: Tensor) -> Tensor:
    """Draw an index for each row, [n, 1], by its share of integer units; `noise` is in [0, 1)."""
    below = units.cumsum(-1)
    whole = below[:, -1:]
    target = torch.minimum((noise * whole.double()).long(), whole - 1)
    return (below <= target).sum(-1, keepdim=True).clamp_(max=units.shape[1] - 1)


def _integers(weights: Tensor, unit: float) -> Tensor:
    return (weights.double() * unit).long()


def power_table(device: torch.device) -> Tensor:
    """Return powers of two from 2**-64 to 1, for `exponential`."""
    steps = torch.arange(-OCTAVES * STEPS, 1, dtype=torch.float64)
    return (steps / STEPS).exp2().to(device)


def exponential(exponents: Tensor, table: Tensor) -> Tensor:
    """Return exp of double exponents up to 0, within a relative error of 1e-10; near 0 far below.

    Uses additions, multiplications and a table: each is rounded in one way only, at any position of
    an element, which a vector library's own exp does not guarantee.
    """
    lowest = -OCTAVES * STEPS
    steps = exponents * (STEPS / math.log(2))
    steps = steps.nan_to_num_(nan=lowest).clamp_(lowest, 0)  # a failed row must stay in the table
    whole = steps.floor()
    rest = (steps - whole) * (math.log(2) / STEPS)
    return table[whole.long() - lowest] * ((rest * 0.5 + 1.0) * rest + 1.0)
