"""Linear layers against torch in fp64; a token's bits in any company, at any place and width."""

import pytest
import torch
from torch.nn.functional import silu

from engine.kernels.gpu.device import DTYPES, EXACT, FP32, differing, error, noise, poisoned
from rowcast.engine.kernels.gpu.linear import gated, linear

TOKENS, INPUTS, OUTPUTS = 70, 100, 66  # a tile and a part of one, each way


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("tokens", [1, TOKENS])
def test_it_is_the_product(dtype: torch.dtype, tokens: int) -> None:
    states, weight = noise(tokens, INPUTS, dtype=dtype), noise(OUTPUTS, INPUTS, dtype=dtype, seed=1)
    bias, residual = noise(OUTPUTS, dtype=FP32, seed=2), noise(tokens, OUTPUTS, dtype=dtype, seed=3)
    wanted = states.double() @ weight.double().T
    found = linear(states, weight, out=poisoned(tokens, OUTPUTS, dtype=dtype))
    assert error(found, wanted) < EXACT[dtype]
    wanted = (wanted + bias.double()).to(dtype) + residual
    assert (
        error(linear(states, weight, bias, residual=residual, out=residual), wanted) < EXACT[dtype]
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gate_and_up_become_one_result(dtype: torch.dtype) -> None:
    states, weight = noise(5, INPUTS, dtype=dtype), noise(OUTPUTS, INPUTS, dtype=dtype, seed=1) / 9
    bias = noise(OUTPUTS, dtype=FP32, seed=2)
    gate, up = (states.double() @ weight.double().T + bias).to(dtype).chunk(2, -1)
    found = gated(states, weight, bias, out=poisoned(5, OUTPUTS // 2, dtype=dtype))
    assert error(found, silu(gate.float()).to(dtype) * up) < EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_neither_company_nor_place_nor_width_changes_a_bit(dtype: torch.dtype) -> None:
    weight = noise(OUTPUTS, INPUTS, dtype=dtype, seed=1)
    own = noise(1, INPUTS, dtype=dtype, seed=7)
    alone, gate_alone = linear(own, weight), gated(own, weight)
    for width, place in ((2, 1), (32, 0), (32, 17), (64, 63), (65, 64)):
        company = noise(width, INPUTS, dtype=dtype, seed=width)
        company[::3], company[1::3] = torch.nan, torch.inf
        company[place] = own
        assert not differing(linear(company, weight)[place : place + 1], alone), (width, place)
    assert not differing(gated(company, weight)[place : place + 1], gate_alone)


def test_a_token_that_is_not_finite_spoils_itself_alone() -> None:
    states, weight = noise(3, INPUTS), noise(OUTPUTS, INPUTS, seed=1)
    sound = linear(states, weight)
    states[1, 5] = torch.nan
    found = linear(states, weight)
    assert found[1].isnan().all()
    assert not differing(found[::2], sound[::2])


def test_no_tokens_no_output() -> None:
    assert linear(noise(0, INPUTS), noise(OUTPUTS, INPUTS)).shape == (0, OUTPUTS)


def test_it_refuses_what_it_would_misread() -> None:
    states, weight = noise(3, INPUTS), noise(OUTPUTS, INPUTS)
    for other in (weight[:, :50], weight.float()):
        with pytest.raises(ValueError, match="states"):
            linear(states, other)
    for wrong in (noise(OUTPUTS, 3).T, noise(3, OUTPUTS - 1), noise(3, OUTPUTS, dtype=FP32)):
        with pytest.raises(ValueError, match="out must be"):
            linear(states, weight, out=wrong)
        with pytest.raises(ValueError, match="residual must be"):
            linear(states, weight, residual=wrong)
        with pytest.raises(ValueError, match="out must be"):
            gated(states, torch.cat([weight, weight]), out=wrong)
    for bias in (noise(OUTPUTS), noise(OUTPUTS - 1, dtype=FP32)):
        with pytest.raises(ValueError, match="bias must be"):
            linear(states, weight, bias)
