"""Sums and draws of probability mass, at edges that random tests would rarely reach."""

import math

import pytest
import torch

from rowcast.sampling import mass
from sampling.seats import CPU

ALMOST_ONE = 1 - 2.0**-53


@pytest.mark.parametrize(
    ("noise", "index"),
    [(0.0, 1), (0.374, 1), (0.375, 3), (0.999, 3), (ALMOST_ONE, 3)],
)
def test_pick_gives_each_index_its_share(noise: float, index: int) -> None:
    units = torch.tensor([[0, 3, 0, 5, 0]])
    chance = torch.tensor([[noise]], dtype=torch.float64)
    assert mass.pick(units, chance).tolist() == [[index]]
    large = units * 2**59  # more than a double can count
    assert mass.pick(large, chance).tolist() == [[index]]


@pytest.mark.parametrize("size", [1, 127, 128, 129, 5000])
def test_a_draw_never_leaves_the_weights(size: int) -> None:
    values = torch.full((1, size), -torch.inf)
    values[0, size // 2] = -7.0
    top = torch.tensor([[-7.0]])
    room = torch.full((1, mass.padded(size)), torch.nan)
    weights = mass.weigh(values, top, None, room)
    sums = mass.folded(weights)
    for noise in (0.0, 0.5, ALMOST_ONE):
        pair = torch.tensor([[noise, noise]], dtype=torch.float64)
        assert mass.draw(weights, sums, pair).tolist() == [[size // 2]]


def test_the_exponential_is_exact_enough() -> None:
    table = mass.power_table(CPU)
    exponents = [-step / 7 for step in range(300)]
    found = mass.exponential(torch.tensor(exponents, dtype=torch.float64), table)
    assert found.tolist() == pytest.approx([math.exp(each) for each in exponents], rel=1e-10)


def test_the_exponential_far_below_is_nothing() -> None:
    table = mass.power_table(CPU)
    far = torch.tensor([-60.0, -1e300, -math.inf, math.nan], dtype=torch.float64)
    assert mass.exponential(far, table).max() < 2.0**-63
