"""What is packed of a model that is decoded by its modules: linear layers, and experts.

pack(model, multiplier)         in place; packed weights are released
packed_bytes(model, kind)       the memory of the result, computed from shapes alone
"""

from collections.abc import Iterator

from torch import nn

from rowcast.engine.decoding.experts import MAKERS, replace_experts
from rowcast.engine.kernels.linear import (
    LINEARS,
    KernelMultiplier,
    Multiplier,
    replace_linears,
    weight_of,
)
from rowcast.engine.kernels.packed_weight import Kind, weight_bytes


def pack(model: nn.Module, multiplier: Multiplier) -> None:
    """Make the multiplier compute all products of a model that it supports."""
    replace_linears(model, multiplier)
    if isinstance(multiplier, KernelMultiplier):
        replace_experts(model, multiplier)


def packed_bytes(model: nn.Module, kind: Kind) -> int:
    """Return the bytes of a model's parameters after packing."""
    sizes: dict[int, int] = {}  # by identity: tied weights count once
    packed = 0
    for module in model.modules():
        shapes = list(_packed_shapes(module))
        packed += sum(weight_bytes(outputs, inputs, kind) for outputs, inputs in shapes)
        if not shapes:
            own = module.parameters(recurse=False)
            sizes |= {id(each): each.numel() * each.itemsize for each in own}
    return packed + sum(sizes.values())


def _packed_shapes(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield outputs and inputs of each weight that a module has packed."""
    if type(module) in LINEARS:
        yield (len(weight_of(module)), weight_of(module).shape[1])
    elif made := (make := MAKERS.get(type(module))) and make(module):
        for each in made[0]:
            for weight in (each.gate_up, each.down):
                yield (len(weight), weight.shape[1])
