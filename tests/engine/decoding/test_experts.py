"""Experts on packed products: equal to transformers' experts, whatever else is in the batch.

Covers `packed_modules`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, MixtralConfig

from engine.tiny_models import SHAPES
from rowcast.engine.decoding.experts import PackedExperts, replace_experts
from rowcast.engine.decoding.packed_modules import pack
from rowcast.engine.kernels.linear import KernelMultiplier, OneDnnMultiplier
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind

TOKENS, CHOICES, EXPERTS, HIDDEN = 40, 2, 4, 64
TOLERANCE: dict[Kind, float] = {"fp32": 2e-6, "bf16": 2e-2, "int8": 5e-2}


@pytest.fixture(scope="module")
def kernel() -> Iterator[LinearKernel]:
    kernel = choose_linear(2, slow_too=True)
    if kernel is None:
        pytest.skip("no compiler here")
    with kernel:
        yield kernel


def layer(name: str) -> Any:
    """Return a model's first layer of experts, with weights well away from zero."""
    torch.manual_seed(2)
    mlp = AutoModelForCausalLM.from_config(SHAPES[name]()).model.layers[0].mlp
    for weight in mlp.experts.parameters():
        nn.init.normal_(weight, std=0.3)
    mlp.requires_grad_(requires_grad=False)
    return mlp


def routed() -> tuple[Tensor, Tensor, Tensor]:
    """Return states, choices and weights of tokens; no token chooses expert 3."""
    torch.manual_seed(1)
    chosen = torch.stack([torch.randperm(EXPERTS - 1)[:CHOICES] for _ in range(TOKENS)])
    return torch.randn(TOKENS, HIDDEN), chosen, torch.rand(TOKENS, CHOICES)


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss"])
@pytest.mark.parametrize("kind", TOLERANCE)
def test_they_say_what_the_models_own_say(kernel: LinearKernel, name: str, kind: Kind) -> None:
    mlp, (states, chosen, weights) = layer(name), routed()
    expected = mlp.experts(states, chosen, weights)
    dtype = torch.float32 if kind == "fp32" else torch.bfloat16
    mlp.experts.to(dtype)
    replace_experts(mlp, KernelMultiplier(kernel, kind))
    assert isinstance(mlp.experts, PackedExperts)
    found = mlp.experts(states.to(dtype), chosen, weights.to(dtype))
    assert found.dtype == dtype
    error = (found.float() - expected).abs().max() / expected.abs().max()
    assert error < TOLERANCE[kind]


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss"])
def test_company_at_an_expert_changes_no_bit(kernel: LinearKernel, name: str) -> None:
    mlp, (states, chosen, weights) = layer(name), routed()
    replace_experts(mlp, KernelMultiplier(kernel, "fp32"))
    whole = mlp.experts(states, chosen, weights)
    for at in range(TOKENS):
        one = slice(at, at + 1)
        assert torch.equal(mlp.experts(states[one], chosen[one], weights[one]), whole[one])
    turned = mlp.experts(states.flip(0), chosen.flip(0), weights.flip(0))
    assert torch.equal(turned.flip(0), whole)


def test_where_torch_multiplies_the_models_own_stay() -> None:
    mlp = layer("mixtral")
    own = mlp.experts
    pack(mlp, OneDnnMultiplier())
    assert mlp.experts is own


def test_another_activation_stays_with_the_models_own(kernel: LinearKernel) -> None:
    config = MixtralConfig(**SHAPES["mixtral"]().to_dict() | {"hidden_act": "gelu"})
    mlp = AutoModelForCausalLM.from_config(config).model.layers[0].mlp
    own = mlp.experts
    replace_experts(mlp, KernelMultiplier(kernel, "fp32"))
    assert mlp.experts is own
