"""What is packed of a model that is decoded by its modules: linear layers, and experts.

pack(model, multiplier)         in place; weights that are packed are let go of
packed_bytes(model, kind)       what is kept then, told by shapes alone
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
from rowcast.engine.kernels.linear_kernel import Kind, weight_bytes


def pack(model: nn.Module, multiplier: Multiplier) -> None:
    """Have the multiplier compute all products of a model that it can."""
    replace_linears(model, multiplier)
    if isinstance(multiplier, KernelMultiplier):
        replace_experts(model, multiplier)


def packed_bytes(model: nn.Module, kind: Kind) -> int:
    """What a model's parameters take once our kernel has packed it."""
    kept: dict[int, int] = {}  # by identity: tied weights are one
    packed = 0
    for module in model.modules():
        shapes = list(_packed_shapes(module))
        packed += sum(weight_bytes(outputs, inputs, kind) for outputs, inputs in shapes)
        if not shapes:
            own = module.parameters(recurse=False)
            kept |= {id(each): each.numel() * each.itemsize for each in own}
    return packed + sum(kept.values())


def _packed_shapes(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Outputs and inputs of each weight that a module has packed."""
    if type(module) in LINEARS:
        yield (len(weight_of(module)), weight_of(module).shape[1])
    elif made := (make := MAKERS.get(type(module))) and make(module):
        for each in made[0]:
            for weight in (each.gate_up, each.down):
                yield (len(weight), weight.shape[1])
