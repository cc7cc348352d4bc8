"""int8 against its formula, and to the bit against the CPU's kernel."""

import pytest
import torch

from engine.kernels.gpu.device import DEVICE, DTYPES, FP32, differing, noise, poisoned
from rowcast.engine.kernels.gpu.linear_int8 import Packed, linear, pack, quantise
from rowcast.engine.kernels.linear_kernel import choose_linear

TOKENS, INPUTS, OUTPUTS = 9, 100, 66


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_row_is_rounded_to_its_largest_value(dtype: torch.dtype) -> None:
    states = noise(TOKENS, INPUTS, dtype=dtype)
    states[3] = 0
    lines, scales = quantise(states)
    peak = states.float().abs().amax(1)
    by = torch.where(peak > 0, 127 / peak, 0)
    assert torch.equal(lines, (states.float() * by[:, None]).round().to(torch.int8))
    assert torch.equal(scales, peak / 127)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_its_bits_are_those_of_the_cpu(dtype: torch.dtype) -> None:
    states, weight = noise(TOKENS, INPUTS, dtype=dtype), noise(OUTPUTS, INPUTS, dtype=dtype, seed=1)
    bias, residual = noise(OUTPUTS, dtype=FP32, seed=2), noise(TOKENS, OUTPUTS, dtype=dtype, seed=3)
    found = linear(
        states, pack(weight), bias, residual=residual, out=poisoned(TOKENS, OUTPUTS, dtype=dtype)
    )
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("no C compiler, so the CPU has no int8")
    with kernel:
        packed = kernel.pack([weight.cpu()], "int8", bias.cpu())
        wanted = kernel.linear(states.cpu(), packed, residual=residual.cpu())
    assert not differing(found, wanted.to(DEVICE))


def test_a_token_that_is_not_finite_spoils_itself_alone() -> None:
    states, packed = noise(TOKENS, INPUTS), pack(noise(OUTPUTS, INPUTS, seed=1))
    sound = linear(states, packed)
    states[1, 5], states[2, 6] = torch.nan, -torch.inf
    found = linear(states, packed)
    assert found[1:3].isnan().all()
    assert not differing(found[3:], sound[3:])
    assert not differing(linear(states[4:5].contiguous(), packed), sound[4:5])


def test_it_refuses_what_it_would_misread() -> None:
    packed = pack(noise(OUTPUTS, INPUTS))
    with pytest.raises(ValueError, match="inputs"):
        linear(noise(3, 50), packed)
    with pytest.raises(ValueError, match="quantise"):
        linear(noise(INPUTS, 3).T, packed)
    for wrong in (noise(OUTPUTS, 3).T, noise(3, OUTPUTS - 1), noise(3, OUTPUTS, dtype=FP32)):
        with pytest.raises(ValueError, match="out must be"):
            linear(noise(3, INPUTS), packed, out=wrong)
        with pytest.raises(ValueError, match="residual must be"):
            linear(noise(3, INPUTS), packed, residual=wrong)
    for bias in (noise(OUTPUTS), noise(OUTPUTS - 1, dtype=FP32)):
        with pytest.raises(ValueError, match="bias must be"):
            linear(noise(3, INPUTS), packed, bias)
    with pytest.raises(ValueError, match="weights are"):
        linear(noise(3, INPUTS), Packed(packed.lines.float(), packed.scales))
