"""Where the kernels are tested: on a GPU if there is one, else under Triton's interpreter.

Import this before any module of `kernels.gpu`: Triton chooses when it is imported. Without Triton,
or where something imported it before (torch does, with some of transformers' modules), the test
file is skipped: `make test-kernels` runs them in a process and an environment of their own.
"""

import os
import sys

import pytest
import torch
from torch import Tensor

GPU = torch.cuda.is_available()
if not GPU and "triton" not in sys.modules:
    os.environ["TRITON_INTERPRET"] = "1"
triton = pytest.importorskip("triton", reason="Triton is not installed: run make test-kernels")
if not GPU and not triton.knobs.runtime.interpret:
    pytest.skip("Triton is already here to compile: run make test-kernels", allow_module_level=True)

tl = triton.language
DEVICE = torch.device("cuda" if GPU else "cpu")
BF16, FP32 = torch.bfloat16, torch.float32
DTYPES = (FP32, BF16)
EXACT = {FP32: 3e-6, BF16: 9e-3}  # of the largest value


def noise(*shape: int, dtype: torch.dtype = BF16, seed: int = 0) -> Tensor:
    """Return numbers of a normal distribution, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(DEVICE, dtype)


def poisoned(*shape: int, dtype: torch.dtype = BF16) -> Tensor:
    """Return a result that nothing was written to yet."""
    return torch.full(shape, torch.nan, dtype=dtype, device=DEVICE)


def differing(left: Tensor, right: Tensor) -> int:
    """Return how many values differ in any bit, also of zeros and NaN."""
    whole = {4: torch.int32, 2: torch.int16}[left.itemsize]
    return int((left.contiguous().view(whole) != right.contiguous().view(whole)).sum())


def error(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, as a part of the largest value; infinite if there is a NaN."""
    worst = (found.double() - wanted.double()).abs().max() / wanted.double().abs().max()
    return float(worst) if worst.isfinite() else float("inf")
