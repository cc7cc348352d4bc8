"""The noise: fixed forever, uniform, and independent of its neighbours."""

import math
from collections import Counter
from collections.abc import Callable

import pytest

from rowcast.sampling import noise
from sampling.plain import agrees

GOLDEN = {
    (0, 0, 0, 0): 0.1296456182997474,
    (1, 0, 0, 0): 0.8847898165349132,
    (0, 1, 0, 0): 0.40888044555588665,
    (0, 0, 1, 0): 0.591449498199162,
    (0, 0, 0, 1): 0.049920065672091285,
    (9223372036854775807, 0, 0, 0): 0.6239367018601508,
    (42, 3, 127, 5): 0.21832236527094784,
    (4611686018427400249, 31, 2047, 1): 0.17434345121863226,
}
COUNT = 20_000
WALKS: dict[str, Callable[[int], tuple[int, int, int, int]]] = {
    "positions": lambda index: (7, 0, index, 0),
    "seeds": lambda index: (index, 0, 0, 0),
    "far seeds": lambda index: (2**63 - 1 - index, 3, 5, 0),
    "choices": lambda index: (7, index, 0, 0),
    "lanes": lambda index: (7, 0, 0, index),
    "seed and position": lambda index: (index, 0, index, 0),
    "high bits of the seed": lambda index: (index << 43, 0, 0, 0),
}


def value(seed: int, choice: int, position: int, lane: int) -> float:
    return noise.uniform(noise.at(noise.stream(seed, choice), position), lane)


@pytest.mark.parametrize("counter", GOLDEN)
def test_never_changes(counter: tuple[int, int, int, int]) -> None:
    assert value(*counter) == GOLDEN[counter]


@pytest.mark.parametrize("walk", WALKS)
def test_is_even(walk: str) -> None:
    values = [value(*WALKS[walk](index)) for index in range(COUNT)]
    assert all(0 <= each < 1 for each in values)
    counts = Counter(int(each * 100) for each in values)
    assert agrees(counts, dict.fromkeys(range(100), 0.01))
    low_bits = Counter(int(each * 2**53) & 15 for each in values)
    assert agrees(low_bits, dict.fromkeys(range(16), 1 / 16))


@pytest.mark.parametrize("walk", WALKS)
def test_neighbours_are_independent(walk: str) -> None:
    values = [value(*WALKS[walk](index)) for index in range(COUNT)]
    for distance in (1, 2, 16):
        pairs = zip(values, values[distance:], strict=False)
        counts = Counter(10 * int(a * 10) + int(b * 10) for a, b in pairs)
        assert agrees(counts, dict.fromkeys(range(100), 0.01))


@pytest.mark.slow
def test_streams_do_not_follow_one_another() -> None:
    """Neighbouring seeds and choices give unrelated streams."""
    for other in ((8, 0), (7, 1), (6, 0), (7 + 2**32, 0)):
        pairs = [(value(7, 0, p, 0), value(*other, p, 0)) for p in range(COUNT)]
        covariance = math.fsum((a - 0.5) * (b - 0.5) for a, b in pairs) / COUNT
        assert abs(covariance) < 5 / 12 / math.sqrt(COUNT)  # five standard deviations
