"""Mixtures of experts on packed products: each multiplies the tokens that chose it, together.

    tokens, their choices ──sort by expert──▶ gate/up, gate, down of each expert ──▶ back in place,
    weighted, and summed in the order of the token's choices

A product of our kernel has the same bits for any number of tokens, so tokens may share an expert.
If something else multiplies, transformers' own experts stay: there each token is computed alone.
`MAKERS` lists the supported experts; routing is left to the model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssExperts
from transformers.models.mixtral.modeling_mixtral import MixtralExperts

from rowcast.engine.kernels.linear import KernelMultiplier
from rowcast.engine.kernels.linear_plan import Plan
from rowcast.engine.kernels.packed_weight import Packed

Gate = Callable[[Plan, Tensor, Tensor], object]  # combines a tensor of gates and ups


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of one expert, [outputs, inputs] each: gates above ups."""

    gate_up: Tensor
    down: Tensor
    gate_up_bias: Tensor | None = None
    down_bias: Tensor | None = None


class PackedExperts(nn.Module):
    """The experts of one layer."""

    def __init__(self, each: Iterator[Weights], gate: Gate, multiplier: KernelMultiplier) -> None:
        super().__init__()
        kernel, kind = multiplier.kernel, multiplier.kind
        self._kernel, self._gate = kernel, gate
        self.experts: list[tuple[Packed, Packed]] = [
            (
                kernel.pack([expert.gate_up], kind, expert.gate_up_bias),
                kernel.pack([expert.down], kind, expert.down_bias),
            )
            for expert in each
        ]

    def forward(self, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Mix [tokens, hidden] by each token's choices: their experts and weights."""
        choices = chosen.shape[-1]
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        counts = flat.bincount(minlength=len(self.experts)).tolist()
        sorted_out = self._run(states[order // choices], counts)
        out = torch.empty_like(sorted_out)
        out[order] = sorted_out
        return _weighted(out.view(len(states), choices, -1), weights).to(states.dtype)

    def _run(self, states: Tensor, counts: list[int]) -> Tensor:
        """Run states in the order of the experts that they are routed to."""
        (gate_up, down), *_ = self.experts
        merged = states.new_empty(len(states), gate_up.outputs)
        self._multiply(0, states, merged, counts)
        gated = states.new_empty(len(states), down.inputs)
        plan = Plan(self._kernel)
        self._gate(plan, merged, gated)
        plan.run(len(states))
        out = torch.empty_like(states)
        self._multiply(1, gated, out, counts)
        return out

    def _multiply(self, which: int, states: Tensor, to: Tensor, counts: list[int]) -> None:
        start = 0
        for expert, count in zip(self.experts, counts, strict=True):
            if count:
                end = start + count
                self._kernel.linear(states[start:end], expert[which], out=to[start:end])
                start = end


def _weighted(out: Tensor, weights: Tensor) -> Tensor:
    """Sum [tokens, choices, hidden], each times its weight, one choice after another."""
    total = out[:, 0].float() * weights[:, 0, None].float()
    for choice in range(1, out.shape[1]):
        total += out[:, choice].float() * weights[:, choice, None].float()
    return total


def _of_mixtral(experts: Any) -> tuple[Iterator[Weights], Gate] | None:
    if not type(experts.act_fn).__name__.startswith("SiLU"):
        return None
    pairs = zip(experts.gate_up_proj.detach(), experts.down_proj.detach(), strict=True)
    return (Weights(gate_up, down) for gate_up, down in pairs), Plan.swiglu


def _of_gpt_oss(experts: Any) -> tuple[Iterator[Weights], Gate]:
    def each() -> Iterator[Weights]:
        for at in range(experts.num_experts):
            yield Weights(
                _separated(experts.gate_up_proj[at].detach().T),
                experts.down_proj[at].detach().T,
                _separated(experts.gate_up_proj_bias[at].detach()),
                experts.down_proj_bias[at].detach(),
            )

    def gate(plan: Plan, merged: Tensor, to: Tensor) -> None:
        plan.clamped(merged, experts.alpha, experts.limit, to)

    return each(), gate


def _separated(gate_up: Tensor) -> Tensor:
    """Return alternating gates and ups as gates above ups."""
    return torch.cat([gate_up[::2], gate_up[1::2]])


MAKERS: Mapping[type[nn.Module], Callable[[Any], tuple[Iterator[Weights], Gate] | None]] = {
    MixtralExperts: _of_mixtral,
    GptOssExperts: _of_gpt_oss,
}


def replace_experts(model: nn.Module, multiplier: KernelMultiplier) -> None:
    """Replace a model's experts in place, releasing their weights layer by layer."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if made := (make := MAKERS.get(type(child))) and make(child):
                setattr(parent, name, PackedExperts(*made, multiplier))
