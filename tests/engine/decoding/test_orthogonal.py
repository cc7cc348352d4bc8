"""Turning: an orthogonal matrix of any size that spreads one large number over all positions.

Covers `orthogonal`.
"""

from collections.abc import Iterator

import pytest
import torch

from rowcast.engine.decoding.llama.orthogonal import Turn, mix
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear

SIZES = (1, 2, 3, 15, 64, 96, 576)


@pytest.fixture(scope="module")
def kernel() -> Iterator[LinearKernel]:
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("no compiler here")
    with kernel:
        yield kernel


def matrix_of(kernel: LinearKernel, size: int) -> torch.Tensor:
    return Turn(kernel, size).rows(torch.eye(size))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_orthogonal(kernel: LinearKernel, size: int) -> None:
    matrix = matrix_of(kernel, size).double()
    assert torch.allclose(matrix @ matrix.T, torch.eye(size).double(), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_one_large_number_is_spread_over_all_places(kernel: LinearKernel, size: int) -> None:
    assert matrix_of(kernel, size).abs().max() <= 1.4143 / size**0.5


@pytest.mark.parametrize("size", SIZES)
def test_rows_and_columns_are_products_with_it(kernel: LinearKernel, size: int) -> None:
    torch.manual_seed(size)
    matrix, many = matrix_of(kernel, size), torch.randn(100, size)
    assert torch.allclose(Turn(kernel, size).rows(many), many @ matrix, atol=1e-4)
    assert torch.equal(Turn(kernel, size).columns(many.T), Turn(kernel, size).rows(many).T)
    assert torch.equal(Turn(kernel, size).vector(many[7]), Turn(kernel, size).rows(many)[7])


def test_mixing_twice_multiplies_by_the_count() -> None:
    values = torch.arange(3 * 8 * 5).float().view(3, 8, 5)
    mixed = values.clone()
    mix(mixed)
    assert torch.equal(mixed[:, 0], values.sum(1))
    mix(mixed)
    assert torch.equal(mixed, values * 8)


def test_what_does_not_fit_is_refused(kernel: LinearKernel) -> None:
    signs, factors = torch.ones(12), torch.eye(3)
    with pytest.raises(ValueError, match="parts of a power of two"):
        kernel.turn(torch.ones(2, 9), signs, factors)
    with pytest.raises(ValueError, match="fp32"):
        kernel.turn(torch.ones(2, 12).double(), signs, factors)
    with pytest.raises(ValueError, match="contiguous"):
        kernel.turn(torch.ones(12, 2).T, signs, factors)
