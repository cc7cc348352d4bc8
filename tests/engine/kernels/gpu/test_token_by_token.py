"""Norms and heads against torch run operation by operation; what reaches the row cache."""

import pytest
import torch
from torch import Tensor

from engine.kernels.gpu.device import (
    DEVICE,
    DTYPES,
    EXACT,
    FP32,
    differing,
    error,
    noise,
    poisoned,
)
from rowcast.engine.kernels.gpu.token_by_token import place_heads, rms_norm

HEADS, KV_HEADS, SIZE, CONTEXT = 3, 1, 24, 10


def normed(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return a Llama's norm."""
    wide = states.float()
    by = (wide.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    return weight * (wide * by).to(states.dtype)


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return heads after a Llama's rotation."""
    low, high = heads.chunk(2, -1)
    return heads * cos[:, None] + torch.cat([-high, low], -1) * sin[:, None]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [24, 1500])
def test_a_norm_is_a_llama_s(dtype: torch.dtype, size: int) -> None:
    states, weight = noise(3, size, dtype=dtype), noise(size, dtype=dtype, seed=1)
    found = rms_norm(states, weight, 1e-5, poisoned(3, size, dtype=dtype))
    assert error(found, normed(states, weight, 1e-5)) < EXACT[dtype]
    states[0] = torch.inf
    assert not differing(rms_norm(states, weight, 1e-5)[1:], found[1:])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("with_norms", [False, True])
def test_heads_are_normed_turned_and_placed(dtype: torch.dtype, with_norms: bool) -> None:
    merged = noise(4, (HEADS + 2 * KV_HEADS) * SIZE, dtype=dtype)
    angles = noise(2, CONTEXT, SIZE, dtype=dtype, seed=1)
    norms = noise(2, SIZE, dtype=dtype, seed=2)
    keys, values = (poisoned(2, KV_HEADS, CONTEXT, SIZE, dtype=dtype) for _ in range(2))
    row = torch.tensor([1, 1, -1, 0], dtype=torch.int32, device=DEVICE)
    position = torch.tensor([3, 4, 0, 9], dtype=torch.int32, device=DEVICE)
    found = place_heads(
        merged,
        keys,
        values,
        row,
        position,
        angles=(angles[0], angles[1]),
        norms=(norms[0], norms[1]) if with_norms else None,
        epsilon=1e-5,
    )
    heads = merged.view(4, -1, SIZE)
    query, key = heads[:, :HEADS], heads[:, HEADS:-KV_HEADS]
    if with_norms:
        query, key = normed(query, norms[0], 1e-5), normed(key, norms[1], 1e-5)
    cos, sin = angles[:, position.long()]
    assert error(found, turned(query, cos, sin)) < EXACT[dtype]
    placed = row >= 0
    at = row[placed].long(), slice(None), position[placed].long()
    assert error(keys[at], turned(key, cos, sin)[placed]) < EXACT[dtype]
    assert torch.equal(values[at], heads[placed, -KV_HEADS:])
    keys[at] = values[at] = torch.nan
    assert keys.isnan().all()  # nothing else was written
    assert values.isnan().all()


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf])
def test_a_value_that_is_not_finite_is_stored_as_a_key(bad: float) -> None:
    merged = noise(2, (HEADS + 2 * KV_HEADS) * SIZE, dtype=FP32)
    merged[0, -1] = bad
    keys, values = (poisoned(1, KV_HEADS, CONTEXT, SIZE, dtype=FP32) for _ in range(2))
    row, position = torch.tensor([[0, 0], [2, 3]], dtype=torch.int32, device=DEVICE)
    place_heads(merged, keys, values, row, position)
    assert keys[0, 0, 2].isnan().all()
    assert not values[0, 0, 2].any()
    assert keys[0, 0, 3].isfinite().all()


def test_they_refuse_what_they_would_misread() -> None:
    nowhere = torch.zeros(2, dtype=torch.int32, device=DEVICE)
    cache = noise(1, KV_HEADS, CONTEXT, SIZE)
    with pytest.raises(ValueError, match="norm"):
        rms_norm(noise(2, 5), noise(6), 1e-5)
    with pytest.raises(ValueError, match="heads"):
        place_heads(noise(2, 5 * SIZE - 1), cache, cache, nowhere, nowhere)
    wide = noise(1, KV_HEADS, CONTEXT, 2 * SIZE)[..., :SIZE]
    with pytest.raises(ValueError, match="cache"):
        place_heads(noise(2, 5 * SIZE), wide, wide, nowhere, nowhere)
