"""Where the kernels are tested: on a GPU if there is one, else under Triton's interpreter.

Import this before any module of `kernels.gpu`: Triton chooses when a kernel is declared. Without
Triton the importing test is skipped.
"""

import os

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed: pip install triton==3.7.1")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BF16, FP32 = torch.bfloat16, torch.float32


def noise(*shape: int, dtype: torch.dtype = BF16, seed: int = 0) -> Tensor:
    """Return numbers of a normal distribution, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(DEVICE, dtype)


def poisoned(*shape: int, dtype: torch.dtype = BF16) -> Tensor:
    """Return a result that nothing was written to yet."""
    return torch.full(shape, torch.nan, dtype=dtype, device=DEVICE)


def bits(values: Tensor) -> Tensor:
    """Return integers that are equal if every bit is, also of zeros and NaN."""
    return values.contiguous().view({4: torch.int32, 2: torch.int16}[values.itemsize])


def error(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, as a part of the largest value; infinite if there is a NaN."""
    worst = (found.double() - wanted.double()).abs().max() / wanted.double().abs().max()
    return float(worst) if worst.isfinite() else float("inf")
