"""Linear layers with weights in int8, as the CPU's: scaled by output, inputs by token.

    pack(weight)              ──▶ Packed: bytes [outputs, inputs], scales [outputs]
    quantise(states)          ──▶ bytes [tokens, inputs], scales [tokens]
    linear(states, packed)    ──▶ [tokens, outputs]

Sums of integers are exact and everything else is rounded once, where the CPU's kernel rounds: the
bits of a result are the same as there. A token that is not finite gives NaN for itself. Directions
that are left out of the rounding (`linear_kernel.Unrounded`) are not built.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from rowcast.engine.kernels.gpu.arithmetic import UNFUSED, as_stored, magnitude, multiplied, rounded
from rowcast.engine.kernels.gpu.linear import (
    DTYPES,
    OUTPUTS,
    STAGES,
    TOKENS,
    check_bias,
    grid,
    result_for,
)

INPUTS = tl.constexpr(64)
PART = tl.constexpr(1024)  # inputs of a token that are quantised together
TO_WHOLE = tl.constexpr(1.5 * 2**23)  # added and subtracted, it rounds half to even
INFINITE = tl.constexpr(0x7F800000)


class Packed(NamedTuple):
    """Rows of int8, and what each is multiplied by."""

    lines: Tensor
    scales: Tensor


def pack(weight: Tensor) -> Packed:
    """Return a weight [outputs, inputs] in int8, symmetric per output."""
    return quantise(weight)


def quantise(states: Tensor) -> Packed:
    """Return each row in int8: x * 127 / max |x|, half to even. Its scale is NaN if it failed."""
    rows, inputs = states.shape
    if states.dtype not in DTYPES or not states.is_contiguous():
        raise ValueError(f"cannot quantise {states.dtype}, strides {states.stride()}")
    lines = torch.empty(rows, inputs, dtype=torch.int8, device=states.device)
    scales = torch.empty(rows, dtype=torch.float32, device=states.device)
    if rows:
        _quantise[rows,](states, lines, scales, inputs, **UNFUSED)
    return Packed(lines, scales)


def linear(
    states: Tensor,
    packed: Packed,
    bias: Tensor | None = None,  # fp32
    *,
    residual: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Multiply states [tokens, inputs]; `out` may be the residual itself."""
    (tokens, inputs), outputs = states.shape, len(packed.lines)
    if packed.lines.shape[1] != inputs:
        raise ValueError(f"states of {inputs} for a weight of {packed.lines.shape[1]} inputs")
    if packed.lines.dtype != torch.int8 or not packed.lines.is_contiguous():
        raise ValueError(f"weights are {packed.lines.dtype}, strides {packed.lines.stride()}")
    check_bias(bias, outputs)
    out = result_for(states, outputs, residual, out)
    rows = quantise(states)
    if tokens:
        _linear[grid(tokens, outputs)](
            *rows,
            *packed,
            bias if bias is not None else packed.scales,
            residual if residual is not None else out,
            out,
            tokens,
            outputs,
            inputs,
            biased=bias is not None,
            added=residual is not None,
            num_stages=STAGES,
            **UNFUSED,
        )
    return out


@triton.jit
def _quantise(states: tl.tensor, lines: tl.tensor, scales: tl.tensor, inputs: tl.tensor) -> None:
    begin = tl.program_id(0).to(tl.int64) * inputs
    most = tl.zeros((PART,), tl.int32)
    for first in range(0, inputs, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(states + begin + at, mask=at < inputs, other=0.0).to(tl.float32)
        most = tl.maximum(most, magnitude(value))
    largest = tl.max(most, 0)
    peak = largest.to(tl.float32, bitcast=True)
    usable = (largest < INFINITE) & (peak > 0)
    by = tl.where(usable, tl.math.div_rn(127.0, tl.where(usable, peak, 1.0)), 0.0)
    scale = tl.where(usable, tl.math.div_rn(peak, 127.0), peak * 0.0)  # 0, or NaN
    tl.store(scales + tl.program_id(0), scale)
    for first in range(0, inputs, PART):
        at = first + tl.arange(0, PART)
        value = tl.load(states + begin + at, mask=at < inputs, other=0.0).to(tl.float32)
        whole = tl.where(usable, value * by + TO_WHOLE - TO_WHOLE, 0.0)
        tl.store(lines + begin + at, whole.to(tl.int32).to(tl.int8), mask=at < inputs)


@triton.jit(do_not_specialize=["tokens"])
def _linear(
    states: tl.tensor,
    token_scales: tl.tensor,
    weight: tl.tensor,
    scales: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    to: tl.tensor,
    tokens: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    biased: tl.constexpr,
    added: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    output = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)
    here, there = (token < tokens)[:, None], (output < outputs)[None, :]
    sums = tl.zeros((TOKENS, OUTPUTS), tl.int32)
    for first in range(0, inputs, INPUTS):
        at = first + tl.arange(0, INPUTS)
        inside = at < inputs
        state = tl.load(states + token[:, None] * inputs + at, mask=here & inside[None, :], other=0)
        line = weight + output[None, :] * inputs + at[:, None]
        sums = multiplied(state, tl.load(line, mask=there & inside[:, None], other=0), sums)
    by_output = tl.load(scales + output, mask=output < outputs, other=0.0)[None, :]
    by_token = tl.load(token_scales + token, mask=token < tokens, other=0.0)[:, None]
    values = sums.to(tl.float32) * by_output * by_token
    if biased:
        values += tl.load(bias + output, mask=output < outputs, other=0.0)[None, :]
    place = token[:, None] * outputs + output
    if added:
        values = as_stored(values, to.dtype.element_ty)
        values += tl.load(residual + place, mask=here & there, other=0.0).to(tl.float32)
    tl.store(to + place, rounded(values, to.dtype.element_ty), mask=here & there)
