"""The likeliest tokens: ties go to the smaller id, however many are requested."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rowcast.sampling import order


def plainly(values: Tensor) -> list[list[int]]:
    """Return every row's tokens, likeliest first."""
    return [
        sorted(range(len(row)), key=lambda token: (-row[token], token)) for row in values.tolist()
    ]


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    levels=st.sampled_from([1, 2, 5, 1000]),
    size=st.sampled_from([1, 5, 31, 32, 33, 127, 128, 129, 700, 4099]),
    count=st.integers(1, 200),
    seed=st.integers(0, 2**32),
)
def test_the_first_are_the_first(levels: int, size: int, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-levels, levels + 1, (3, size), generator=generator) / 4
    count = min(count, size)
    expected = [row[:count] for row in plainly(values)]
    assert order.leading(values, count).tolist() == expected
    assert order.best(values).tolist() == [row[:1] for row in expected]


@pytest.mark.parametrize("size", [3, 300])
def test_both_zeros_are_equal(size: int) -> None:
    values = torch.full((1, size), -1.0)
    values[0, 1], values[0, 2] = -0.0, 0.0
    assert order.leading(values, 2).tolist() == [[1, 2]]
    assert order.best(values).tolist() == [[1]]


def test_what_is_impossible_comes_last() -> None:
    values = torch.full((1, 200), -torch.inf)
    values[0, 150], values[0, 199] = -3e38, 1e-45
    assert order.leading(values, 4).tolist() == [[199, 150, 0, 1]]
