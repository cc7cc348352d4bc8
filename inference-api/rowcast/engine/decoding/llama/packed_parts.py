"""Packs a transformers model of the Llama form, part by part, releasing each weight.

    Form, Basis ──shape_of──▶ LlamaShape
    Form, Basis ──parts_of──▶ (name, Packed or Tensor), one at a time: no two copies are kept

Weights may have another dtype than they are packed from: each is cast when its turn comes, so that
a mapped file need not be copied whole. Knows nothing of where parts go.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rowcast.engine.decoding.llama.model import (
    CLASSIFIER,
    LAST,
    LAST_WEIGHT,
    LayerShape,
    LlamaModel,
    LlamaShape,
    Part,
)
from rowcast.engine.decoding.llama.products import Basis, OwnBasis, Product, linears
from rowcast.engine.decoding.llama.shape import Form, LayerForm
from rowcast.engine.decoding.llama.spread_basis import SpreadBasis
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.packed_weight import Kind, Packed, Unrounded


@dataclass(frozen=True, slots=True)
class Packing:
    """How parts are packed."""

    kernel: LinearKernel
    kind: Kind
    dtype: torch.dtype  # of embedding, norms and angles
    context: int  # positions that have angles

    def basis(self, form: Form) -> Basis:
        """Return the coordinates in which a model's numbers are packed."""
        return SpreadBasis(form, self.kernel) if self.kind == "int8" else OwnBasis(form, self.dtype)

    def products(
        self, products: Sequence[Product], layers: Sequence[nn.Linear], directions: Tensor | None
    ) -> Packed:
        """Pack products that read the same input as one weight; release the layers' own."""
        columns = [each.columns for each in products if each.columns is not None]
        unrounded = None
        if columns and directions is not None:
            unrounded = Unrounded(directions, torch.cat(columns, dim=1))
        weights = [each.weight for each in products]
        packed = self.kernel.pack(weights, self.kind, bias_of(products), unrounded)
        for layer in layers:
            layer.register_parameter("weight", None)
        return packed

    def tensor(self, tensor: Tensor) -> Tensor:
        """Return a copy, which does not keep a mapped file in memory."""
        return tensor.detach().to(self.dtype, copy=True).contiguous()


def pack_model(form: Form, packing: Packing) -> LlamaModel:
    """Pack the whole model in this process."""
    with one_thread():
        basis = packing.basis(form)
        return LlamaModel(shape_of(form, basis), dict(parts_of(form, packing, basis)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, so that short operations never wait for a descheduled thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shape_of(form: Form, basis: Basis) -> LlamaShape:
    """Return the plain numbers of a model."""
    return LlamaShape(
        heads=form.heads,
        kv_heads=form.kv_heads,
        head_size=form.head_size,
        epsilon=form.norm.epsilon,
        basis=basis.name,
        mixed=basis.mixed,
        layers=[_layer_shape(layer) for layer in form.layers],
    )


def parts_of(
    form: Form,
    packing: Packing,
    basis: Basis,
    report: Callable[[int], None] = lambda _layers: None,
) -> Iterator[tuple[str, Part]]:
    """Yield every part, layer by layer; call `report` with the number of finished layers."""
    yield "embedding", packing.tensor(basis.embedding())
    cos, sin = angles(form, packing.dtype, packing.context)
    yield "cos", cos
    yield "sin", sin
    for number, layer in enumerate(form.layers, 1):
        for name, part in _layer_parts(layer, packing, basis):
            yield f"{layer.index}.{name}", part
        report(number)
    yield LAST, packing.tensor(basis.norm(LAST, form.norm))
    if (weight := basis.last_weight()) is not None:
        yield LAST_WEIGHT, packing.tensor(weight)
    if form.classifier is not None:
        yield CLASSIFIER, form.classifier.detach().float().clone()
    yield "head", packing.products([basis.head()], [form.head], basis.directions)


def _layer_parts(layer: LayerForm, packing: Packing, basis: Basis) -> Iterator[tuple[str, Part]]:
    make, own = basis.products(layer), linears(layer)
    for name, norm in layer.norms.items():
        yield name, packing.tensor(basis.norm(name, norm))
    for name, products in make.items():
        yield name, packing.products(products(), own[name], basis.directions)


def _layer_shape(layer: LayerForm) -> LayerShape:
    return LayerShape(
        index=layer.index,
        rotates=layer.rotates,
        window=layer.window,
        scale=layer.scale,
        epsilons={name: norm.epsilon for name, norm in layer.norms.items()},
    )


def angles(form: Form, dtype: torch.dtype, context: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine at every position, by the model's module: [context, head size]."""
    device = form.embedding.device
    like = torch.empty(1, 1, dtype=dtype, device=device)
    with torch.no_grad():
        cos, sin = form.rotary(like, torch.arange(context, device=device)[None])
    if cos.shape != (1, context, form.head_size):
        raise ValueError(f"angles {[*cos.shape]} do not fit heads of size {form.head_size}")
    return cos[0].contiguous(), sin[0].contiguous()


def bias_of(products: Sequence[Product]) -> Tensor | None:
    """Return the products' biases, one below the other; None if there are none."""
    if all(each.bias is None for each in products):
        return None
    return torch.cat(
        [
            each.weight.new_zeros(len(each.weight), dtype=torch.float32)
            if each.bias is None
            else each.bias.float()
            for each in products
        ]
    )
