"""Linear layers as fast as this machine's matrix unit: weights packed once, neighbours merged.

`pack(model)` replaces a model's linear layers in place. On a CPU their weights are laid out by
oneDNN for the widths that steps run at; layers that read the same input (q/k/v, gate/up) become one
product, of which each hands out its part. A width that oneDNN would treat otherwise is the probe's
to find. Knows nothing of what the layers mean.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
PACKED_FOR = 32  # rows of input that the layout is tuned for


class PackedLinear(nn.Module):
    """One product with a packed weight."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._weight = _onednn("_reorder_linear_weight")(weight.detach(), PACKED_FOR)
        self._bias = None if bias is None else bias.detach()
        self._multiply = _onednn("_linear_pointwise")

    def forward(self, states: Tensor) -> Tensor:
        product: Tensor = self._multiply(states, self._weight, self._bias, "none", [], "")
        return product


class _Shared:
    """The product that several layers hand out in parts; computed when the first is asked."""

    def __init__(self, layers: list[nn.Linear]) -> None:
        weight = torch.cat([layer.weight for layer in layers])
        has_bias = any(layer.bias is not None for layer in layers)
        bias = torch.cat([_bias_of(layer) for layer in layers]) if has_bias else None
        self._product = PackedLinear(weight, bias)
        self._states: Tensor | None = None
        self._parts: Tensor | None = None

    def part(self, states: Tensor, of: slice, *, last: bool) -> Tensor:
        """One layer's slice; the last one asked lets go of the product."""
        if self._parts is None or states is not self._states:
            self._states, self._parts = states, self._product(states)
        part = self._parts[..., of]
        if last:
            self._states = self._parts = None
        return part


class PartLinear(nn.Module):
    """One layer's part of a shared product."""

    def __init__(self, shared: _Shared, start: int, layer: nn.Linear, *, last: bool) -> None:
        super().__init__()
        self._last = last
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._shared = shared
        self._slice = slice(start, start + layer.out_features)

    def forward(self, states: Tensor) -> Tensor:
        return self._shared.part(states, self._slice, last=self._last)


def pack(model: nn.Module) -> None:
    """Replace the linear layers of a model on a CPU, freeing each weight as its packing is made."""
    for parent in list(model.modules()):
        for names in SIBLINGS:
            _merge(parent, names)
        for name, layer in _linears(parent):
            setattr(parent, name, PackedLinear(layer.weight, layer.bias))


def _merge(parent: nn.Module, names: tuple[str, ...]) -> None:
    layers = [getattr(parent, name, None) for name in names]
    linears = [layer for layer in layers if type(layer) is nn.Linear]
    if len(linears) != len(names):
        return
    shared, start = _Shared(linears), 0
    for name, layer in zip(names, linears, strict=True):
        setattr(parent, name, PartLinear(shared, start, layer, last=name == names[-1]))
        start += layer.out_features


def _linears(parent: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, child in list(parent.named_children()):
        if type(child) is nn.Linear:
            yield name, child


def _onednn(name: str) -> Callable[..., Tensor]:
    """An operation that torch keeps for its compiler's use."""
    operation: Callable[..., Tensor] = getattr(torch.ops.mkldnn, name)
    return operation


def _bias_of(layer: nn.Linear) -> Tensor:
    return layer.bias if layer.bias is not None else layer.weight.new_zeros(layer.out_features)
