"""Linear layers: states @ weight.T + bias, + residual; or SwiGLU of two halves of the outputs.

    linear(states, weight)              [tokens, outputs]
    gated(states, gate_and_up)          silu(gate) * up, without storing either

Weights are [outputs, inputs] as the model has them, those that read the same input one below the
other. A tile of 64 tokens by 64 outputs is one chain of sums over the inputs, 64 at a time in
ascending order; tiles are filled up with zeros. Neither the tile's size nor its chain depends on
the number of tokens, and a token is one line of it, so its bits depend on its own input and the
weights. Nothing is split over the inputs.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from rowcast.engine.kernels.gpu.arithmetic import UNFUSED, as_stored, multiplied, rounded, sigmoid

TOKENS, OUTPUTS, INPUTS = tl.constexpr(64), tl.constexpr(64), tl.constexpr(64)
STAGES = 4  # tiles of inputs on their way
DTYPES = (torch.float32, torch.bfloat16)


def linear(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,  # fp32
    *,
    residual: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Multiply states [tokens, inputs]; `out` may be the residual itself."""
    return _launch(states, weight, bias, residual, out, gated=False)


def gated(
    states: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """Return silu(gate) * up; the weight holds all outputs of gate, then those of up."""
    return _launch(states, weight, bias, None, out, gated=True)


def _launch(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    out: Tensor | None,
    *,
    gated: bool,
) -> Tensor:
    (tokens, inputs), outputs = states.shape, len(weight) // (1 + gated)
    if weight.shape[1] != inputs or weight.dtype != states.dtype or weight.dtype not in DTYPES:
        raise ValueError(
            f"states {states.dtype} {[*states.shape]} for a weight {weight.dtype} {[*weight.shape]}"
        )
    if not states.is_contiguous() or not weight.is_contiguous():
        raise ValueError("states and weights must be contiguous")
    check_bias(bias, len(weight))
    out = result_for(states, outputs, residual, out)
    if tokens:
        _linear[grid(tokens, outputs)](
            states,
            weight,
            bias if bias is not None else weight,
            residual if residual is not None else out,
            out,
            tokens,
            outputs,
            inputs,
            gated=gated,
            biased=bias is not None,
            added=residual is not None,
            num_stages=STAGES,
            **UNFUSED,
        )
    return out


def result_for(states: Tensor, outputs: int, residual: Tensor | None, out: Tensor | None) -> Tensor:
    """Return where a product goes; refuse what a kernel would misread or write out of place."""
    shape = (len(states), outputs)
    for name, each in (("out", out), ("residual", residual)):
        if each is None:
            continue
        if each.shape != shape or each.dtype != states.dtype or not each.is_contiguous():
            raise ValueError(
                f"{name} must be {states.dtype} {[*shape]} and contiguous; it is {each.dtype} "
                f"{[*each.shape]}, strides {[*each.stride()]}"
            )
    return states.new_empty(shape) if out is None else out


def check_bias(bias: Tensor | None, outputs: int) -> None:
    """Raise ValueError unless it is None or as a kernel reads it."""
    if bias is None:
        return
    if bias.shape != (outputs,) or bias.dtype != torch.float32 or not bias.is_contiguous():
        raise ValueError(
            f"a bias must be {torch.float32} [{outputs}] and contiguous; it is {bias.dtype} "
            f"{[*bias.shape]}"
        )


def grid(tokens: int, outputs: int) -> tuple[int, int]:
    """Return the number of tiles: those of the same weights are neighbours."""
    return triton.cdiv(tokens, TOKENS.value), triton.cdiv(outputs, OUTPUTS.value)


@triton.jit(do_not_specialize=["tokens"])
def _linear(
    states: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    to: tl.tensor,
    tokens: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    gated: tl.constexpr,
    biased: tl.constexpr,
    added: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    output = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)
    here, there = (token < tokens)[:, None], (output < outputs)[None, :]
    sums = tl.zeros((TOKENS, OUTPUTS), tl.float32)
    ups = tl.zeros((TOKENS, OUTPUTS), tl.float32)
    for first in range(0, inputs, INPUTS):
        at = first + tl.arange(0, INPUTS)
        inside = at < inputs
        state = tl.load(
            states + token[:, None] * inputs + at, mask=here & inside[None, :], other=0.0
        )
        known = there & inside[:, None]
        line = weight + output[None, :] * inputs + at[:, None]
        sums = multiplied(state, tl.load(line, mask=known, other=0.0), sums)
        if gated:
            line = weight + (output[None, :] + outputs) * inputs + at[:, None]
            ups = multiplied(state, tl.load(line, mask=known, other=0.0), ups)
    place = token[:, None] * outputs + output
    if biased:
        sums += tl.load(bias + output, mask=output < outputs, other=0.0)[None, :]
    if gated:
        if biased:
            ups += tl.load(bias + outputs + output, mask=output < outputs, other=0.0)[None, :]
        dtype = to.dtype.element_ty
        gate = as_stored(sums, dtype)
        sums = as_stored(gate * sigmoid(gate), dtype) * as_stored(ups, dtype)
    if added:
        sums = as_stored(sums, to.dtype.element_ty)
        sums += tl.load(residual + place, mask=here & there, other=0.0).to(tl.float32)
    tl.store(to + place, rounded(sums, to.dtype.element_ty), mask=here & there)
