"""Replaces a model's linear layers by packed products.

    replace_linears(model, choose_multiplier(dtype, threads))

Weights are packed once; layers that read the same input (q/k/v, gate/up) become one product, of
which each returns its part. A `Multiplier` is our C kernel if it is fast here, else oneDNN through
torch. Knows nothing of what the layers mean.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind

LINEARS = (nn.Linear, FalconLinear, Conv1D)  # exact types: subclasses are not replaced
SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
PACKED_FOR = 32  # rows of input that oneDNN's layout is tuned for

Product = Callable[[Tensor], Tensor]


class Multiplier(Protocol):
    """An implementation of matrix products."""

    @property
    def name(self) -> str:
        """Identifies the arithmetic: equal names give equal bits. Part of the build fingerprint."""

    def pack(self, weights: Sequence[Tensor], bias: Tensor | None) -> Product:
        """Return the product with these weights, one below the other."""


class KernelMultiplier:
    """Our C kernel: its bits do not depend on the number of rows."""

    def __init__(self, kernel: LinearKernel, kind: Kind) -> None:
        self.kernel = kernel
        self.kind: Kind = kind
        self.name = kernel.name_of(kind)

    def pack(self, weights: Sequence[Tensor], bias: Tensor | None) -> Product:
        packed = self.kernel.pack(weights, self.kind, bias)

        def product(states: Tensor) -> Tensor:
            return self.kernel.linear(states, packed)

        return product


class OneDnnMultiplier:
    """oneDNN, through operations that torch keeps for its compiler's use."""

    name = "onednn"

    def pack(self, weights: Sequence[Tensor], bias: Tensor | None) -> Product:
        pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001
        multiply: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        packed = pack(torch.cat(list(weights)), PACKED_FOR)

        def product(states: Tensor) -> Tensor:
            return multiply(states, packed, bias, "none", [], "")

        return product


class TorchMultiplier:
    """Plain torch, for dtypes whose weights oneDNN does not pack."""

    name = "torch"

    def pack(self, weights: Sequence[Tensor], bias: Tensor | None) -> Product:
        whole = torch.cat(list(weights))
        return lambda states: functional.linear(states, whole, bias)


def choose_multiplier(
    dtype: torch.dtype, threads: int, arithmetic: Arithmetic = AUTO
) -> Multiplier:
    """Return the multiplier of an arithmetic for weights of this dtype on this CPU."""
    kind: Kind = "bf16" if dtype == torch.bfloat16 else "fp32"
    packs = onednn_packs(dtype)
    kernel = choose_linear(threads, slow_too=not packs, arithmetic=arithmetic)
    if kernel is not None:
        return KernelMultiplier(kernel, kind)
    return OneDnnMultiplier() if packs else TorchMultiplier()


def onednn_packs(dtype: torch.dtype) -> bool:
    """Return True if oneDNN packs weights of this dtype here: bf16 needs 512-bit vectors."""
    try:
        torch.ops.mkldnn._reorder_linear_weight(torch.zeros(16, 16, dtype=dtype), 1)  # noqa: SLF001
    except RuntimeError:
        return False
    return True


class PackedLinear(nn.Module):
    """A layer with a product of its own."""

    def __init__(self, layer: nn.Module, multiplier: Multiplier) -> None:
        super().__init__()
        weight = weight_of(layer)
        self.out_features, self.in_features = weight.shape
        self._product = multiplier.pack([weight], bias_of([layer]))

    def forward(self, states: Tensor) -> Tensor:
        return self._product(states)


class _Shared:
    """A product shared by several layers; computed when the first of them runs."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._states: Tensor | None = None
        self._whole: Tensor | None = None

    def part(self, states: Tensor, of: slice, *, last: bool) -> Tensor:
        """Return one layer's slice; the last layer releases the product."""
        if self._whole is None or states is not self._states:
            self._states, self._whole = states, self._product(states)
        part = self._whole[..., of]
        if last:
            self._states = self._whole = None
        return part


class PartLinear(nn.Module):
    """One layer's part of a shared product."""

    def __init__(self, shared: _Shared, start: int, layer: nn.Linear, *, last: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._shared = shared
        self._slice = slice(start, start + layer.out_features)
        self._last = last

    def forward(self, states: Tensor) -> Tensor:
        return self._shared.part(states, self._slice, last=self._last)


def replace_linears(model: nn.Module, multiplier: Multiplier) -> None:
    """Replace a model's linear layers in place, releasing each weight once it is packed."""
    for parent in list(model.modules()):
        for names in SIBLINGS:
            _merge(parent, names, multiplier)
        for name, layer in _linears(parent):
            setattr(parent, name, PackedLinear(layer, multiplier))


def _merge(parent: nn.Module, names: Sequence[str], multiplier: Multiplier) -> None:
    found = (getattr(parent, name, None) for name in names)
    layers = [layer for layer in found if type(layer) is nn.Linear]
    if len(layers) != len(names):
        return
    weights = [layer.weight.detach() for layer in layers]
    shared, start = _Shared(multiplier.pack(weights, bias_of(layers))), 0
    for name, layer in zip(names, layers, strict=True):
        setattr(parent, name, PartLinear(shared, start, layer, last=name == names[-1]))
        start += layer.out_features


def _linears(parent: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in list(parent.named_children()):
        if type(child) in LINEARS:
            yield name, child


def weight_of(layer: nn.Module) -> Tensor:
    """Return a linear layer's weight as [outputs, inputs]; Conv1D stores the transpose."""
    weight = layer.get_parameter("weight").detach()
    return weight.T if type(layer) is Conv1D else weight


def bias_of(layers: Sequence[nn.Module]) -> Tensor | None:
    """Return the layers' biases, one below the other; None if there are none."""
    if all(layer.bias is None for layer in layers):
        return None
    return torch.cat(
        [
            torch.zeros(len(weight_of(layer)), dtype=weight_of(layer).dtype)
            if layer.bias is None
            else layer.get_parameter("bias").detach()
            for layer in layers
        ]
    )
