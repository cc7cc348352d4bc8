"""The basis of int8 computes the model's own function, whatever is large or scaled in it.

Covers `spread_basis`, `products`, `llama/shape`, `llama/model`.
"""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine.outliers import scale_against_each_other
from engine.tiny_models import LEAN_SHAPES, SHAPES
from rowcast.engine.decoding.llama.model import LAST, Norm
from rowcast.engine.decoding.llama.orthogonal import mix
from rowcast.engine.decoding.llama.products import Basis, OwnBasis, Product
from rowcast.engine.decoding.llama.shape import Form, LayerForm, read_form
from rowcast.engine.decoding.llama.spread_basis import SpreadBasis, large_channels, mixed_vectors
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear

LANES = 16


@pytest.fixture(scope="module")
def kernel() -> Iterator[LinearKernel]:
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("no compiler here")
    with kernel:
        yield kernel


def model_of(name: str, **changes: object) -> PreTrainedModel:
    torch.manual_seed(2)
    config = SHAPES[name]()
    for key, value in changes.items():
        setattr(config, key, value)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def form_of(model: PreTrainedModel) -> Form:
    form = read_form(model)
    assert form is not None
    return form


class Walk:
    """A model of the form without attention: each query takes its own value."""

    def __init__(self, form: Form, basis: Basis) -> None:
        self.form, self.basis = form, basis

    def logits(self, tokens: Tensor) -> Tensor:
        states = self.basis.embedding()[tokens]
        for layer in self.form.layers:
            states = self._layer(layer, states)
        return self._multiply(self._norm(states, LAST, self.form.norm), [self.basis.head()])

    def _layer(self, layer: LayerForm, states: Tensor) -> Tensor:
        make, form = self.basis.products(layer), self.form
        normed = self._norm(states, "before_attention", layer.norms["before_attention"])
        value = self._multiply(normed, make["qkv"]())[:, -form.kv_heads * form.head_size :]
        heads = value.view(len(value), form.kv_heads, 1, form.head_size)
        shared = heads.expand(-1, -1, form.heads // form.kv_heads, -1).flatten(1)
        states = states + self._multiply(shared, make["o"]())
        normed = self._norm(states, "before_mlp", layer.norms["before_mlp"])
        gate, up = self._multiply(normed, make["gate_up"]()).chunk(2, dim=-1)
        gated = nn.functional.silu(gate) * up
        if self.basis.mixed > 1:
            mix(gated.view(-1, self.basis.mixed, LANES))
        return states + self._multiply(gated, make["down"]())

    def _norm(self, states: Tensor, name: str, norm: Norm) -> Tensor:
        wide = states * torch.rsqrt(states.square().mean(-1, keepdim=True) + norm.epsilon)
        return wide * self.basis.norm(name, norm)

    def _multiply(self, states: Tensor, products: Sequence[Product]) -> Tensor:
        return torch.cat(
            [nn.functional.linear(states, each.weight, each.bias) for each in products], dim=-1
        )


TOKENS = torch.arange(0, 190, 7)


@pytest.mark.parametrize("name", LEAN_SHAPES)
def test_it_is_the_same_function(kernel: LinearKernel, name: str) -> None:
    form = form_of(model_of(name))
    own = Walk(form, OwnBasis(form, torch.float32)).logits(TOKENS)
    spread = Walk(form, SpreadBasis(form, kernel)).logits(TOKENS)
    assert (own - spread).abs().max() < 2e-5 * own.abs().max()


def test_with_biases_too(kernel: LinearKernel) -> None:
    form = form_of(model_of("llama", attention_bias=True, mlp_bias=True, intermediate_size=128))
    own = Walk(form, OwnBasis(form, torch.float32)).logits(TOKENS)
    spread = Walk(form, SpreadBasis(form, kernel)).logits(TOKENS)
    assert SpreadBasis(form, kernel).mixed == 8
    assert (own - spread).abs().max() < 2e-5 * own.abs().max()


def test_channels_scaled_against_each_other_leave_no_trace(kernel: LinearKernel) -> None:
    plain, scaled = model_of("llama"), model_of("llama")
    scale_against_each_other(scaled)
    of_plain, of_scaled = (SpreadBasis(form_of(model), kernel) for model in (plain, scaled))
    for ours, theirs in zip(form_of(plain).layers, form_of(scaled).layers, strict=True):
        made, made_again = of_plain.products(ours), of_scaled.products(theirs)
        for name, make in made.items():
            for one, other in zip(make(), made_again[name](), strict=True):
                assert torch.allclose(one.weight, other.weight, rtol=1e-4, atol=1e-5)


def test_large_channels_are_found_and_multiplied_apart(kernel: LinearKernel) -> None:
    model = model_of("llama")
    assert large_channels(form_of(model)) == []
    with torch.no_grad():
        for layer in model.get_submodule("model.layers"):
            layer.get_submodule("mlp.down_proj").get_parameter("weight")[[9, 40]] *= 5
    form = form_of(model)
    assert large_channels(form) == [9, 40]
    basis = SpreadBasis(form, kernel)
    assert basis.directions is not None
    for product in basis.products(form.layers[0])["qkv"]():
        assert product.columns is not None
        expected = basis.directions @ product.weight.T
        assert torch.allclose(product.columns, expected, atol=1e-5)
    assert all(each.columns is None for each in basis.products(form.layers[0])["down"]())


@pytest.mark.parametrize(
    ("size", "vectors"), [(96, 2), (768, 16), (1536, 32), (4864, 16), (8192, 64), (100, 1), (16, 1)]
)
def test_groups_that_are_mixed_divide_all(size: int, vectors: int) -> None:
    assert mixed_vectors(size) == vectors
