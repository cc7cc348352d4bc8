"""The names of DTYPE: how a model's numbers are stored.

    name ──▶ Precision: `states` (activations, norms, embeddings, KV cache) in a dtype of torch;
             `weights` of linear layers packed as a kind of our kernel, or None: like the states

One more kind of weights is one more line of `PRECISIONS`, and its name in the settings. Knows no
kind's arithmetic: see `kernels.linear_kernel`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.errors import RowcastError


class PrecisionUnavailable(RowcastError):
    """This machine does not support the precision; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How numbers are stored."""

    states: torch.dtype | None  # None: as in the model's own files
    weights: Kind | None = None  # None: like the states


PRECISIONS: Mapping[str, Precision] = {
    "auto": Precision(None),
    "float32": Precision(torch.float32),
    "bfloat16": Precision(torch.bfloat16),
    "float16": Precision(torch.float16),
    "int8": Precision(torch.bfloat16, "int8"),
}


def packing_kernel(
    name: str, device: torch.device, threads: int, arithmetic: Arithmetic = AUTO
) -> LinearKernel | None:
    """Return the kernel if the precision packs weights as a kind of its own, else None.

    Only our kernel reads such weights. On a processor without fast code for it, it is correct but
    slow; without a compiler, or on a GPU, there is none.
    """
    if PRECISIONS[name].weights is None:
        return None
    if device.type != "cpu":
        raise PrecisionUnavailable(
            f"DTYPE={name} runs on the CPU only: set DEVICE=cpu, or DTYPE=bfloat16"
        )
    kernel = choose_linear(threads, slow_too=True, arithmetic=arithmetic)
    if kernel is None:
        raise PrecisionUnavailable(
            f"DTYPE={name} needs a C compiler: install cc, gcc or clang, or set DTYPE=bfloat16"
        )
    return kernel
