"""Turning: an orthogonal matrix of every size, that spreads one large number over all places."""

import pytest
import torch

from rowcast.engine.lean.turning import Turn, mix

SIZES = (1, 2, 3, 15, 64, 96, 576)


def matrix_of(size: int) -> torch.Tensor:
    return Turn(size).rows(torch.eye(size))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_orthogonal(size: int) -> None:
    matrix = matrix_of(size).double()
    assert torch.allclose(matrix @ matrix.T, torch.eye(size).double(), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_one_large_number_is_spread_over_all_places(size: int) -> None:
    assert matrix_of(size).abs().max() <= 1.4143 / size**0.5


@pytest.mark.parametrize("size", SIZES)
def test_rows_and_columns_are_products_with_it(size: int) -> None:
    torch.manual_seed(size)
    matrix, many = matrix_of(size), torch.randn(1000, size)  # more than a piece
    assert torch.allclose(Turn(size).rows(many), many @ matrix, atol=1e-4)
    assert torch.equal(Turn(size).columns(many.T), Turn(size).rows(many).T)
    assert torch.equal(Turn(size).vector(many[7]), Turn(size).rows(many)[7])


def test_mixing_twice_multiplies_by_the_count() -> None:
    values = torch.arange(3 * 8 * 5).float().view(3, 8, 5)
    mixed = values.clone()
    mix(mixed)
    assert torch.equal(mixed[:, 0], values.sum(1))
    mix(mixed)
    assert torch.equal(mixed, values * 8)
