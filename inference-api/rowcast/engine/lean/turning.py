"""Fixed orthogonal matrices that spread what is large in one place over all places.

    Turn(size).rows(x)      every row times the matrix
    Turn(size).columns(x)   the transposed matrix times every column
    mix(x)                  sums and differences along the middle dimension

A size is an odd number times a power of two: signs, then a Hadamard matrix of the power, then a
Hartley matrix of the odd number. All follow from the size alone. Sums are elementwise and in a
fixed order, never a library's product, so that every machine gets the same numbers.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

PIECE = 1 << 18  # numbers that are turned at a time: they stay in the processor's cache


class Turn:
    """The matrix of one size."""

    def __init__(self, size: int) -> None:
        self._even = size & -size
        self._odd = _hartley(size // self._even, self._even)
        self._signs = torch.tensor(list(islice(_signs(), size)))[:, None]

    def rows(self, matrix: Tensor) -> Tensor:
        """[rows, size], in fp32."""
        return self.columns(matrix.T).T.contiguous()

    def columns(self, matrix: Tensor) -> Tensor:
        """[size, columns], in fp32."""
        out = torch.empty(matrix.shape)
        at_once = max(1, PIECE // len(matrix))
        for first in range(0, matrix.shape[1], at_once):
            piece = slice(first, first + at_once)
            out[:, piece] = self._turned(matrix[:, piece].float())
        return out

    def vector(self, vector: Tensor) -> Tensor:
        """[size], in fp32."""
        return self.rows(vector[None])[0]

    def _turned(self, columns: Tensor) -> Tensor:
        mixed = (columns * self._signs).view(len(self._odd), self._even, -1)
        mix(mixed)
        return torch.stack([_sum(factors, mixed) for factors in self._odd]).flatten(0, 1)


def mix(values: Tensor) -> None:
    """[groups, a power of two, rest], in place: each group by the Hadamard matrix of ones."""
    groups, count, rest = values.shape
    apart = 1
    while apart < count:
        pairs = values.view(groups, count // (2 * apart), 2, apart, rest)
        low, high = pairs[:, :, 0], pairs[:, :, 1]
        difference = low - high
        low.add_(high)
        high.copy_(difference)
        apart *= 2


def _sum(factors: list[float], parts: Tensor) -> Tensor:
    """Of the parts, each times its factor: one product and one sum at a time, never fused."""
    total = parts[0] * factors[0]
    for factor, part in zip(factors[1:], parts[1:], strict=True):
        total.add_(part * factor)
    return total


def _hartley(size: int, beside: int) -> list[list[float]]:
    """The orthogonal matrix cos + sin, divided by the length that a Hadamard matrix lends."""
    by = 1 / math.sqrt(size * beside)

    def entry(at: int) -> float:
        angle = 2 * math.pi * (at % size) / size
        return (math.cos(angle) + math.sin(angle)) * by

    entries = torch.tensor([[entry(row * place) for place in range(size)] for row in range(size)])
    return [[float(each) for each in row] for row in entries]  # rounded as fp32 keeps them


def _signs() -> Iterator[float]:
    """1 and -1 without a pattern: a linear congruence's middle bit."""
    state = 1
    while True:
        state = (state * 1103515245 + 12345) % (1 << 31)
        yield 1.0 if state >> 16 & 1 else -1.0
