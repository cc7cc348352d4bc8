"""Linear layers in C against fp64, exact integers and themselves: no bit depends on the batch.

Covers `kernels/packed_weight`.
"""

import ctypes
import ctypes.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rowcast.engine.kernels.arithmetic import Tiles, arithmetics_here
from rowcast.engine.kernels.build import KernelUnavailable, load_kernel
from rowcast.engine.kernels.linear_kernel import SOURCE, LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind, Unrounded

KINDS: tuple[Kind, ...] = ("fp32", "bf16", "int8")
DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.bfloat16}
TOLERANCE = {"fp32": 3e-6, "bf16": 6e-3, "int8": 2e-2}
SHAPES = ((1, 1), (17, 33), (48, 64), (130, 31), (96, 1024), (50, 2050), (256, 896))  # out, in
MOST = 300


@pytest.fixture(scope="module", params=["native", "x86-64", "emulated", "hardware"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def kernel(machine: str) -> Iterator[LinearKernel]:
    with made(machine, 2) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def alone(machine: str) -> Iterator[LinearKernel]:
    with made(machine, 1) as kernel:
        yield kernel


def made(machine: str, threads: int) -> LinearKernel:
    """Return the kernel for a machine, or for this one with tiles."""
    try:
        kernel = load_kernel(SOURCE, machine="x86-64" if machine == "x86-64" else "native")
    except KernelUnavailable as error:
        pytest.skip(str(error))
    if machine == "hardware" and kernel.library.rowcast_amx_here():
        pytest.skip("no tile unit here")
    tiles: dict[str, Tiles] = {"emulated": "emulated", "hardware": "hardware"}
    return LinearKernel(kernel, threads, tiles.get(machine, "none"))


def drawn(outputs: int, inputs: int, kind: Kind, tokens: int = 5) -> tuple[Tensor, Tensor]:
    """Return random states and a weight."""
    torch.manual_seed(outputs * inputs)
    states, weight = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
    return states.to(DTYPE[kind]), weight.to(DTYPE[kind])


def error_of(result: Tensor, expected: Tensor) -> float:
    return float((result.double() - expected).abs().max() / expected.abs().max())


def rounded(values: Tensor, most: Tensor) -> Tensor:
    """Return the int8 values of rows whose largest numbers are `most`."""
    return torch.round(values.float() * (torch.tensor(127.0) / most)).to(torch.int64)


@pytest.mark.slow
def test_wide_vectors_without_products_of_bytes_give_the_same_bits_in_8_bits() -> None:
    """Servers of Intel before Cascade Lake multiply bytes in halves of 16 bits."""
    if "avx512" not in arithmetics_here():
        pytest.skip("no vectors of 512 bits")
    kernels = [load_kernel(SOURCE, machine=name) for name in ("skylake-avx512", "native")]
    states, weight = drawn(70, 100, "int8", 19)
    states *= torch.logspace(-3, 3, 19).unsqueeze(1)
    results = []
    for each in kernels:
        with LinearKernel(each, 1) as kernel:
            results.append(kernel.linear(states, kernel.pack([weight], "int8")))
    assert torch.equal(*results)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_it_is_the_product(kernel: LinearKernel, kind: Kind, outputs: int, inputs: int) -> None:
    states, weight = drawn(outputs, inputs, kind)
    bias = torch.randn(outputs).to(weight.dtype)
    packed = kernel.pack([weight], kind, bias)
    expected = states.double() @ weight.double().T + bias.double()
    tolerance = TOLERANCE[kind] if (outputs, inputs) != (1, 1) else 0.05
    assert error_of(kernel.linear(states, packed), expected) < tolerance


def test_what_int8_sums_is_exact(kernel: LinearKernel) -> None:
    states, weight = drawn(70, 1003, "int8", tokens=9)
    most_in = states.float().abs().amax(1, keepdim=True)
    most_kept = weight.float().abs().amax(1, keepdim=True)
    whole = rounded(states, most_in) @ rounded(weight, most_kept).T
    expected = whole.float() * (most_kept / 127).T * (most_in / 127)
    packed = kernel.pack([weight], "int8")
    assert torch.equal(kernel.linear(states, packed, dtype=torch.float32), expected)


def chain(states: Tensor, weight: Tensor, order: list[int]) -> Tensor:
    """Return each output as one chain of the C library's fused sums over the inputs in order."""
    fused = ctypes.CDLL(ctypes.util.find_library("m")).fmaf
    fused.restype, fused.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    result = torch.zeros(len(states), len(weight))
    for token, state in enumerate(states.tolist()):
        for output, row in enumerate(weight.tolist()):
            total = 0.0
            for at in order:
                total = fused(state[at], row[at], total)
            result[token, output] = total
    return result


def test_fp32_is_a_chain_of_fused_sums(kernel: LinearKernel) -> None:
    if "plain" in kernel.name:
        pytest.skip("no fused sums")
    states, weight = drawn(37, 70, "fp32", tokens=8)
    states[3], weight[5] = (
        states[3] * 1e-20,
        weight[5] * 1e-20,
    )  # sums below the least normal number
    packed, expected = kernel.pack([weight], "fp32"), chain(states, weight, list(range(70)))
    for tokens in (1, 2, 3, 5, 8):
        assert torch.equal(kernel.linear(states[:tokens], packed), expected[:tokens])


def test_bf16_is_a_chain_of_fused_sums_second_of_a_pair_first(kernel: LinearKernel) -> None:
    if "avx2" not in kernel.name_of("bf16"):
        pytest.skip("another arithmetic")
    states, weight = drawn(37, 70, "bf16", tokens=8)
    states[3], weight[5] = states[3] * 1e-20, weight[5] * 1e-20
    packed = kernel.pack([weight], "bf16")
    expected = chain(states.float(), weight.float(), [at ^ 1 for at in range(70)])
    for tokens in (1, 2, 3, 5, 8):
        result = kernel.linear(states[:tokens], packed, dtype=torch.float32)
        assert torch.equal(result, expected[:tokens])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outputs", "inputs"), [(50, 100), (112, 1024), (33, 2100)])
def test_no_bit_depends_on_company(
    kernel: LinearKernel, alone: LinearKernel, kind: Kind, outputs: int, inputs: int
) -> None:
    states, weight = drawn(outputs, inputs, kind, tokens=MOST)
    packed = kernel.pack([weight], kind)
    expected = torch.cat([alone.linear(token, packed) for token in states[:, None]])
    for tokens in (2, 3, 7, 8, 9, 16, 17, 32, 64, 257, MOST):
        for first in (0, MOST - tokens):
            result = kernel.linear(states[first : first + tokens], packed)
            assert torch.equal(result, expected[first : first + tokens]), (tokens, first)


def unrounded_of(weight: Tensor, count: int) -> Unrounded:
    """Return orthogonal directions, and the weight's products with them."""
    directions = torch.linalg.qr(torch.randn(weight.shape[1], count))[0].T.contiguous()
    return Unrounded(directions, directions @ weight.float().T)


@pytest.mark.parametrize("inputs", [65, 1024])
def test_what_is_large_along_a_direction_costs_the_rest_nothing(
    kernel: LinearKernel, inputs: int
) -> None:
    states, weight = drawn(70, inputs, "int8", tokens=9)
    unrounded = unrounded_of(weight, 3)
    large = states.float() + torch.tensor([[300.0, -200.0, 100.0]]) @ unrounded.directions
    expected = large.double() @ weight.double().T
    plain, better = kernel.pack([weight], "int8"), kernel.pack([weight], "int8", None, unrounded)
    assert error_of(kernel.linear(large, plain), expected) > 0.005
    assert error_of(kernel.linear(large, better), expected) < 0.003


def test_no_bit_of_directions_depends_on_company(kernel: LinearKernel, alone: LinearKernel) -> None:
    states, weight = drawn(112, 333, "int8", tokens=MOST)
    packed = kernel.pack([weight], "int8", None, unrounded_of(weight, 4))
    expected = torch.cat([alone.linear(token, packed) for token in states[:, None]])
    for tokens in (2, 7, 8, 9, 32, 257, MOST):
        for first in (0, MOST - tokens):
            result = kernel.linear(states[first : first + tokens], packed)
            assert torch.equal(result, expected[first : first + tokens]), (tokens, first)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_in_its_row_with_directions(
    kernel: LinearKernel, broken: float
) -> None:
    states, weight = drawn(40, 64, "int8")
    packed = kernel.pack([weight], "int8", None, unrounded_of(weight, 2))
    whole = kernel.linear(states, packed)
    states[2, 10] = broken
    result = kernel.linear(states, packed)
    assert not result[2].isfinite().any()
    assert torch.equal(result[[0, 1, 3, 4]], whole[[0, 1, 3, 4]])


def test_only_int8_has_directions(kernel: LinearKernel) -> None:
    _, weight = drawn(20, 64, "bf16")
    with pytest.raises(ValueError, match="bf16 does not round inputs"):
        kernel.pack([weight], "bf16", None, unrounded_of(weight, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_give_each_its_own(kernel: LinearKernel, kind: Kind) -> None:
    states, weight = drawn(90, 72, kind)
    parts = [weight[:50], weight[50:73], weight[73:]]
    merged = kernel.linear(states, kernel.pack(parts, kind))
    single = [kernel.linear(states, kernel.pack([part], kind)) for part in parts]
    assert torch.equal(merged, torch.cat(single, dim=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_residual_is_added_to_what_was_rounded(kernel: LinearKernel, kind: Kind) -> None:
    states, weight = drawn(40, 64, kind)
    packed = kernel.pack([weight], kind)
    residual = torch.randn(5, 40).to(states.dtype)
    expected = kernel.linear(states, packed) + residual
    assert torch.equal(kernel.linear(states, packed, residual=residual), expected)


def test_the_result_may_be_wider_than_the_states(kernel: LinearKernel) -> None:
    states, weight = drawn(40, 64, "bf16")
    packed = kernel.pack([weight], "bf16")
    wide = kernel.linear(states, packed, dtype=torch.float32)
    assert error_of(wide, states.double() @ weight.double().T) < 1e-6
    assert torch.equal(wide.bfloat16(), kernel.linear(states, packed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_in_its_row(
    kernel: LinearKernel, kind: Kind, broken: float
) -> None:
    states, weight = drawn(40, 64, kind)
    packed = kernel.pack([weight], kind)
    whole = kernel.linear(states, packed)
    states[2, 10] = broken
    result = kernel.linear(states, packed)
    assert not result[2].isfinite().any()
    assert torch.equal(result[[0, 1, 3, 4]], whole[[0, 1, 3, 4]])


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_give_the_bias(kernel: LinearKernel, kind: Kind) -> None:
    _, weight = drawn(20, 64, kind)
    bias = torch.randn(20).to(weight.dtype)
    result = kernel.linear(weight.new_zeros(3, 64), kernel.pack([weight], kind, bias))
    assert torch.equal(result, bias.expand(3, 20))


def test_leading_dimensions_and_strides_are_kept_apart(kernel: LinearKernel) -> None:
    states, weight = drawn(20, 64, "bf16", tokens=6)
    packed = kernel.pack([weight], "bf16")
    flat = kernel.linear(states, packed)
    assert torch.equal(kernel.linear(states.view(2, 3, 64), packed), flat.view(2, 3, 20))
    spread = torch.cat([states, states], dim=1)[:, :64]
    assert torch.equal(kernel.linear(spread, packed), flat)
    assert kernel.linear(states[:0], packed).shape == (0, 20)


def test_its_size_is_that_of_the_weight(kernel: LinearKernel) -> None:
    weight = torch.zeros(320, 640)
    assert kernel.pack([weight], "fp32").size == 320 * 640 * 4
    assert kernel.pack([weight], "bf16").size == 320 * 640 * 2
    assert kernel.pack([weight], "int8").size == 320 * 640 + 320 * 8


def test_what_does_not_fit_is_refused(kernel: LinearKernel) -> None:
    states, weight = drawn(20, 64, "bf16")
    packed = kernel.pack([weight], "bf16")
    with pytest.raises(ValueError, match="64 inputs"):
        kernel.linear(states[:, :63], packed)
    with pytest.raises(ValueError, match="out is"):
        kernel.linear(states, packed, out=states.new_empty(5, 21))
    with pytest.raises(ValueError, match="residual"):
        kernel.linear(states, packed, residual=states)
    with pytest.raises(ValueError, match="pack"):
        kernel.pack([weight.half()], "bf16")
    with pytest.raises(KeyError):
        kernel.linear(states.float(), packed)


def test_its_name_tells_the_arithmetic() -> None:
    names = {made(machine, 1).name for machine in ("native", "x86-64")}
    assert all(name.startswith("c-") for name in names)
    assert len(names) == 2


def test_without_a_compiler_torch_is_left_to_do_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_linear(1, tmp_path / "kernels") is None
