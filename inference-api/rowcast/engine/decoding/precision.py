"""What the names of DTYPE mean: how a model's numbers are kept.

    name ──▶ Precision: `states` (activations, norms, embeddings, KV cache) in a dtype of torch;
             `weights` of linear layers packed as a kind of our kernel, or None: like the states

One more kind of weights is one more line of `PRECISIONS`, and its name in the settings. What a kind
computes is not known here: `kernels.linear_kernel`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.kernels.linear_kernel import Kind, LinearKernel, choose_linear
from rowcast.errors import RowcastError


class PrecisionUnavailable(RowcastError):
    """This machine cannot keep numbers so; the text says what can be done."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How numbers are kept."""

    states: torch.dtype | None  # None: as the model's own files
    weights: Kind | None = None  # None: like the states


PRECISIONS: Mapping[str, Precision] = {
    "auto": Precision(None),
    "float32": Precision(torch.float32),
    "bfloat16": Precision(torch.bfloat16),
    "float16": Precision(torch.float16),
    "int8": Precision(torch.bfloat16, "int8"),
}


def packing_kernel(name: str, device: torch.device, threads: int) -> LinearKernel | None:
    """The kernel, where weights are packed as a kind of their own; None where they are not.

    Only our kernel reads such weights. Where it has no fast code for a processor it is right all
    the same, and slow; without a compiler, or on a GPU, there is none.
    """
    if PRECISIONS[name].weights is None:
        return None
    if device.type != "cpu":
        raise PrecisionUnavailable(
            f"DTYPE={name} runs on the CPU only: set DEVICE=cpu, or DTYPE=bfloat16"
        )
    kernel = choose_linear(threads, slow_too=True)
    if kernel is None:
        raise PrecisionUnavailable(
            f"DTYPE={name} needs a C compiler: install cc, gcc or clang, or set DTYPE=bfloat16"
        )
    return kernel
