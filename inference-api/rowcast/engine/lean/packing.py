"""Packs a transformers' model of the Llama form, part by part, letting go of each weight.

    Form ──shape_of──▶ LeanShape
    Form ──parts_of──▶ (name, Packed or Tensor), one at a time, so that no two copies are kept

Weights may come in another dtype than they are packed from: each is cast when its turn comes, so
that a mapped file need not be copied whole. Where parts go is not known here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rowcast.engine.kernels.linear_kernel import Kind, LinearKernel, Packed
from rowcast.engine.lean.form import Form, LayerForm
from rowcast.engine.lean.model import LAST, LayerShape, LeanModel, LeanShape, Part


@dataclass(frozen=True, slots=True)
class Packing:
    """How parts are kept."""

    kernel: LinearKernel
    kind: Kind
    dtype: torch.dtype  # of embedding, norms and angles
    context: int  # positions that there are angles for

    def layers(self, layers: Sequence[nn.Linear]) -> Packed:
        """Layers that read the same input as one weight; theirs is let go of."""
        weights = [layer.weight.detach().to(self.dtype) for layer in layers]
        packed = self.kernel.pack(weights, self.kind, _bias(layers))
        for layer in layers:
            layer.register_parameter("weight", None)
        return packed

    def tensor(self, tensor: Tensor) -> Tensor:
        """A copy that does not hold on to a mapped file."""
        return tensor.detach().to(self.dtype, copy=True).contiguous()


def pack_model(form: Form, packing: Packing) -> LeanModel:
    """The whole model, in this process."""
    return LeanModel(shape_of(form), dict(parts_of(form, packing)))


def shape_of(form: Form) -> LeanShape:
    """The plain numbers of a model."""
    return LeanShape(
        heads=form.heads,
        kv_heads=form.kv_heads,
        head_size=form.head_size,
        epsilon=form.norm.epsilon,
        layers=[_layer_shape(layer) for layer in form.layers],
    )


def parts_of(
    form: Form, packing: Packing, tell: Callable[[int], None] = lambda _layers: None
) -> Iterator[tuple[str, Part]]:
    """Every part, layer by layer; `tell` hears how many layers are done."""
    yield "embedding", packing.tensor(form.embedding)
    cos, sin = _angles(form, packing)
    yield "cos", cos
    yield "sin", sin
    for number, layer in enumerate(form.layers, 1):
        for name, part in _layer_parts(layer, packing):
            yield f"{layer.index}.{name}", part
        tell(number)
    yield LAST, packing.tensor(form.norm.weight)
    yield "head", packing.layers([form.head])


def _layer_parts(layer: LayerForm, packing: Packing) -> Iterator[tuple[str, Part]]:
    for name, norm in layer.norms.items():
        yield name, packing.tensor(norm.weight)
    yield "qkv", packing.layers(layer.qkv)
    yield "o", packing.layers([layer.o])
    yield "gate_up", packing.layers(layer.gate_up)
    yield "down", packing.layers([layer.down])


def _layer_shape(layer: LayerForm) -> LayerShape:
    return LayerShape(
        index=layer.index,
        rotates=layer.rotates,
        window=layer.window,
        scale=layer.scale,
        epsilons={name: norm.epsilon for name, norm in layer.norms.items()},
    )


def _angles(form: Form, packing: Packing) -> tuple[Tensor, Tensor]:
    """Cosine and sine at every position, by the model's own module: [context, head size] each."""
    like = torch.empty(1, 1, dtype=packing.dtype)
    with torch.no_grad():
        cos, sin = form.rotary(like, torch.arange(packing.context)[None])
    if cos.shape != (1, packing.context, form.head_size):
        raise ValueError(f"angles {[*cos.shape]} are not those of heads of {form.head_size}")
    return cos[0].contiguous(), sin[0].contiguous()


def _bias(layers: Sequence[nn.Linear]) -> Tensor | None:
    """The layers' biases, one below the other; None when there are none."""
    biases = [layer._parameters["bias"] for layer in layers]  # noqa: SLF001  # typed as never None
    if not any(bias is not None for bias in biases):
        return None
    sizes = [layer.out_features for layer in layers]
    pairs = zip(biases, sizes, strict=True)
    return torch.cat(
        [torch.zeros(size) if bias is None else bias.detach().float() for bias, size in pairs]
    )
