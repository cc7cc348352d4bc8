"""Rounding to bf16 and products of tiles, where the interpreter is helped."""

from typing import Any

import torch

from engine.kernels.gpu.device import (
    BF16,
    DEVICE,
    FP32,
    differing,
    noise,
    poisoned,
    tl,
    triton,
)
from rowcast.engine.kernels.gpu.arithmetic import multiplied, rounded


@triton.jit
def _round(values: Any, to: Any, size: tl.constexpr) -> None:
    at = tl.arange(0, size)
    tl.store(to + at, rounded(tl.load(values + at), to.dtype.element_ty))


@triton.jit
def _multiply(left: Any, right: Any, to: Any) -> None:
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)
    sums = multiplied(tl.load(left + at), tl.load(right + at), tl.zeros((16, 16), tl.float32))
    tl.store(to + at, sums)


def test_rounding_is_half_to_even() -> None:
    values = noise(1024, dtype=FP32)
    values[:9] = torch.tensor(
        [1.00390625, 1.01171875, -0.0, 1e-40, 3.4e38, torch.nan, torch.inf, -torch.inf, 0.0]
    )
    found = poisoned(1024)
    _round[1,](values, found, 1024)
    assert not differing(found[:5], values[:5].to(BF16))
    assert found[5].isnan()
    assert not differing(found[6:], values[6:].to(BF16))


def test_products_of_bf16_are_exact() -> None:
    left, right, found = noise(16, 16), noise(16, 16, seed=1), poisoned(16, 16, dtype=FP32)
    _multiply[1,](left, right, found)
    wanted = (left.double() @ right.double()).float()
    assert torch.allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert found.device.type == DEVICE.type
