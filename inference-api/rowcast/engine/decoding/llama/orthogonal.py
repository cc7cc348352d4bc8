"""Fixed orthogonal matrices that spread what is large in one place over all places.

    Turn(kernel, size).rows(x)      every row times the matrix
    Turn(kernel, size).columns(x)   the transposed matrix times every column
    Turn(kernel, size).back(x)      every row as it was before it was turned
    mix(x)                          sums and differences along the middle dimension

A size is an odd number times a power of two: signs, then a Hadamard matrix of the power, then a
Hartley matrix of the odd number. All follow from the size alone, and sums are in a fixed order,
never a library's product, so that every machine gets the same numbers.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from rowcast.engine.kernels.linear_kernel import LinearKernel


class Turn:
    """The matrix of one size."""

    def __init__(self, kernel: LinearKernel, size: int) -> None:
        even = size & -size
        self._kernel = kernel
        self._factors = _hartley(size // even) / math.sqrt(even)
        self._signs = torch.tensor(list(islice(_signs(), size)))

    def rows(self, matrix: Tensor) -> Tensor:
        """Turn every row of [rows, size], in fp32."""
        turned = matrix.to(torch.float32, copy=True).contiguous()
        self._kernel.turn(turned, self._signs, self._factors)
        return turned

    def back(self, turned: Tensor) -> Tensor:
        """Turn every row of [rows, size] back, in fp32: signs come last, the rest is symmetric."""
        rows = turned.to(torch.float32, copy=True).contiguous()
        self._kernel.turn(rows, torch.ones_like(self._signs), self._factors)
        return rows * self._signs

    def columns(self, matrix: Tensor) -> Tensor:
        """Turn every column of [size, columns], in fp32."""
        return self.rows(matrix.T).T.contiguous()

    def vector(self, vector: Tensor) -> Tensor:
        """Turn one vector of [size], in fp32."""
        return self.rows(vector[None])[0]


def mix(values: Tensor) -> None:
    """Mix [groups, a power of two, rest] in place: each group by the Hadamard matrix of ones."""
    groups, count, rest = values.shape
    distance = 1
    while distance < count:
        pairs = values.view(groups, count // (2 * distance), 2, distance, rest)
        low, high = pairs[:, :, 0], pairs[:, :, 1]
        difference = low - high
        low.add_(high)
        high.copy_(difference)
        distance *= 2


def _hartley(size: int) -> Tensor:
    """Return the symmetric orthogonal matrix cos + sin."""

    def entry(at: int) -> float:
        angle = 2 * math.pi * (at % size) / size
        return (math.cos(angle) + math.sin(angle)) / math.sqrt(size)

    return torch.tensor([[entry(row * place) for place in range(size)] for row in range(size)])


def _signs() -> Iterator[float]:
    """Yield 1 and -1 without a pattern: a middle bit of a linear congruential generator."""
    state = 1
    while True:
        state = (state * 1103515245 + 12345) % (1 << 31)
        yield 1.0 if state >> 16 & 1 else -1.0
