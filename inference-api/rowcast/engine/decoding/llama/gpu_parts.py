"""The parts of a model of the Llama form for a GPU: tensors that lie where the model was loaded.

    tensors_of(form, dtype, context) ──▶ LlamaModel: 0.qkv and 0.qkv.bias, 0.o, …, head

Weights that read the same input are one below the other, [outputs, inputs], as
`kernels.gpu.linear` reads them; biases are in fp32. The modules' own weights are released.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from rowcast.engine.decoding.llama.model import CLASSIFIER, LAST, LlamaModel
from rowcast.engine.decoding.llama.packed_parts import angles, bias_of, shape_of
from rowcast.engine.decoding.llama.products import OwnBasis, Product, linears
from rowcast.engine.decoding.llama.shape import Form, LayerForm

BIAS = "bias"


def tensors_of(form: Form, dtype: torch.dtype, context: int) -> LlamaModel:
    """Return the model; afterwards the form's linear layers have no weights."""
    basis = OwnBasis(form, dtype)
    parts: dict[str, Tensor] = {"embedding": form.embedding.to(dtype)}
    parts["cos"], parts["sin"] = angles(form, dtype, context)
    for layer in form.layers:
        parts |= {f"{layer.index}.{name}": part for name, part in _of_layer(layer, basis, dtype)}
    parts[LAST] = form.norm.weight.to(dtype)
    if form.classifier is not None:
        parts[CLASSIFIER] = form.classifier.detach().float()
    parts |= _below("head", [basis.head()])
    form.head.register_parameter("weight", None)
    return LlamaModel(shape_of(form, basis), parts)


def _of_layer(
    layer: LayerForm, basis: OwnBasis, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    own = linears(layer)
    for name, norm in layer.norms.items():
        yield name, norm.weight.to(dtype)
    for name, make in basis.products(layer).items():
        yield from _below(name, make()).items()
        _release(own[name])


def _below(name: str, products: Sequence[Product]) -> dict[str, Tensor]:
    """Return the products' weights as one, and their biases, if there are any."""
    weights = [each.weight for each in products]
    whole = weights[0] if len(weights) == 1 else torch.cat(weights)
    bias = bias_of(products)
    return {name: whole.contiguous()} | ({} if bias is None else {f"{name}.{BIAS}": bias})


def _release(layers: Sequence[nn.Linear]) -> None:
    for layer in layers:
        layer.register_parameter("weight", None)
