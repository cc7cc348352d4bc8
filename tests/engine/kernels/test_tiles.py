"""Layers by the tile unit, emulated: bits as Intel documents them, whatever the company.

The oracle of numpy knows neither panels nor tiles. Covers `kernels/c/linear/tiled`.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rowcast.engine.kernels.build import KernelUnavailable, load_kernel
from rowcast.engine.kernels.linear_kernel import SOURCE, LinearKernel
from rowcast.engine.kernels.packed_weight import Unrounded

SHAPES = ((1, 1), (16, 32), (17, 33), (50, 100), (33, 130), (112, 1024), (40, 2064))  # out, in
TOKENS = (1, 2, 4, 5, 8, 9, 16, 17, 31, 32, 33, 48, 70)
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def tiled() -> Iterator[LinearKernel]:
    yield from emulating(3)


@pytest.fixture(scope="module")
def alone() -> Iterator[LinearKernel]:
    yield from emulating(1)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[LinearKernel]:
    yield from emulating(2, "x86-64")


def emulating(threads: int, machine: str = "native") -> Iterator[LinearKernel]:
    try:
        kernel = load_kernel(SOURCE, machine=machine)
    except KernelUnavailable as error:
        pytest.skip(str(error))
    with LinearKernel(kernel, threads, "emulated") as made:
        yield made


@pytest.fixture(scope="module")
def vectors() -> Iterator[LinearKernel]:
    with LinearKernel(load_kernel(SOURCE), 2) as kernel:
        yield kernel


def drawn(tokens: int, outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    """Return states and a weight in bf16, whose sizes range over 20 powers of two."""
    torch.manual_seed(outputs * inputs)
    spread = torch.exp2(torch.randint(-10, 10, (tokens, inputs)).float())
    return (torch.randn(tokens, inputs) * spread).bfloat16(), torch.randn(
        outputs, inputs
    ).bfloat16()


def bits(values: Tensor) -> Tensor:
    return values.view(torch.int32 if values.dtype == torch.float32 else torch.int16)


def documented(states: Tensor, weight: Tensor) -> Tensor:
    """Return the products in fp32: 32 inputs at a time, even and odd ones in chains of their own.

    Products of bf16 and their sums with fp32 are exact in an extended float, so each is rounded
    once. Only for numbers and sums that are ordinary.
    """
    assert np.finfo(np.longdouble).nmant >= 63
    one, other = (np.asarray(each.float()) for each in (states, weight))
    padded = -one.shape[1] % 32
    one, other = (np.pad(each, ((0, 0), (0, padded))) for each in (one, other))
    sums: Floats = np.zeros((len(one), len(other)), np.float32)
    for first in range(0, one.shape[1], 32):
        chains: list[Floats] = [np.zeros_like(sums), np.zeros_like(sums)]
        for at in range(32):
            product = np.multiply.outer(one[:, first + at], other[:, first + at])
            wide = product.astype(np.longdouble) + chains[at % 2]
            chains[at % 2] = wide.astype(np.float32)
        sums = sums + (chains[0] + chains[1])
    return torch.from_numpy(sums)


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_bf16_is_what_intel_documents(
    tiled: LinearKernel, elsewhere: LinearKernel, outputs: int, inputs: int
) -> None:
    states, weight = drawn(21, outputs, inputs)
    expected = documented(states, weight)
    for kernel in (tiled, elsewhere):
        result = kernel.linear(states, kernel.pack([weight], "bf16"), dtype=torch.float32)
        assert torch.equal(bits(result), bits(expected))


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_no_bit_of_bf16_depends_on_company(
    tiled: LinearKernel, alone: LinearKernel, outputs: int, inputs: int
) -> None:
    states, weight = drawn(max(TOKENS), outputs, inputs)
    states[3, 0], states[5, -1], states[11] = torch.nan, torch.inf, 1e-39
    packed = tiled.pack([weight], "bf16", torch.randn(outputs))
    expected = torch.cat([alone.linear(token, packed) for token in states[:, None]])
    for tokens in TOKENS:
        for first in {0, 1, max(TOKENS) - tokens}:
            part = slice(first, first + tokens)
            result = tiled.linear(states[part], packed)
            assert torch.equal(bits(result), bits(expected[part])), (tokens, first)


@pytest.mark.parametrize("apart", [0, 2])
@pytest.mark.parametrize(("outputs", "inputs"), SHAPES[1:])
def test_int8_has_the_bits_of_vectors(
    tiled: LinearKernel, vectors: LinearKernel, outputs: int, inputs: int, apart: int
) -> None:
    states, weight = drawn(max(TOKENS), outputs, inputs)
    states[3, 0], states[5, -1], states[11] = torch.nan, torch.inf, 0
    directions = torch.nn.functional.normalize(torch.randn(apart, inputs)) if apart else None
    unrounded = (
        directions if directions is None else Unrounded(directions, directions @ weight.float().T)
    )
    packed = tiled.pack([weight], "int8", torch.randn(outputs), unrounded)
    for tokens in TOKENS:
        wanted = vectors.linear(states[:tokens], packed)
        assert torch.equal(bits(tiled.linear(states[:tokens], packed)), bits(wanted))


def test_whatever_is_no_number_has_the_same_bits(tiled: LinearKernel) -> None:
    states, weight = drawn(6, 20, 64)
    raw = bits(states)
    raw[0, 5], raw[1, 5], raw[2, 5] = 0x7FC1, -1, 0x7F81  # three of them, one that signals
    states[3, 5], states[3, 6] = torch.inf, -torch.inf
    weight[:, 6] = weight[:, 5]
    result = tiled.linear(states, tiled.pack([weight], "bf16"), dtype=torch.float32)
    assert set(bits(result[:4]).flatten().tolist()) == {0x7FC00000}
    assert result[4:].isfinite().all()


def test_denormal_numbers_count_as_zeros(tiled: LinearKernel) -> None:
    weight = torch.full((20, 64), 2.0**120).bfloat16()
    states = torch.full((5, 64), 2.0**-127).bfloat16()
    states[1] = 2.0**-126
    result = tiled.linear(states, tiled.pack([weight], "bf16"), dtype=torch.float32)
    assert not result[[0, 2, 3, 4]].any()
    assert (result[1] == 64 * 2.0**-6).all()


def test_the_processors_tiles_have_the_emulated_bits(tiled: LinearKernel) -> None:
    """Where there are tiles: with this, every other test here is one of the processor, too."""
    kernel = load_kernel(SOURCE)
    if kernel.library.rowcast_amx_here():
        pytest.skip("no tile unit here")
    with LinearKernel(kernel, 2, "hardware") as hardware:
        for outputs, inputs in SHAPES:
            states, weight = drawn(max(TOKENS), outputs, inputs)
            states[3, 0], states[5, -1], states[11] = torch.nan, torch.inf, 1e-39
            for packed in (tiled.pack([weight], "bf16"), tiled.pack([weight], "int8")):
                for tokens in TOKENS:
                    expected = tiled.linear(states[:tokens], packed, dtype=torch.float32)
                    result = hardware.linear(states[:tokens], packed, dtype=torch.float32)
                    assert torch.equal(bits(result), bits(expected))


def test_fp32_is_as_it_is_without_tiles(tiled: LinearKernel, vectors: LinearKernel) -> None:
    states, weight = torch.randn(9, 70), torch.randn(33, 70)
    packed = tiled.pack([weight], "fp32")
    assert torch.equal(tiled.linear(states, packed), vectors.linear(states, packed))


def test_only_bf16_has_a_name_of_its_own(tiled: LinearKernel, vectors: LinearKernel) -> None:
    assert tiled.name == vectors.name
    assert tiled.name_of("int8") == vectors.name_of("int8") == f"{vectors.name}-int8"
    assert tiled.name_of("fp32") == vectors.name_of("fp32")
    assert tiled.name_of("bf16").startswith("c-amx-")
    assert tiled.name_of("bf16") != vectors.name_of("bf16")
    assert "amx" in tiled.name_of("bf16", "int8")


def test_more_panels_than_stay_in_cache(tiled: LinearKernel, alone: LinearKernel) -> None:
    """One thread takes all panels at once, a few at a time, each time over all tokens."""
    states, weight = drawn(35, 330, 2048)
    packed = tiled.pack([weight], "bf16")
    whole = alone.linear(states, packed)
    assert torch.equal(bits(whole), bits(tiled.linear(states, packed)))
    for token in (0, 31, 32, 34):
        assert torch.equal(bits(alone.linear(states[token], packed)), bits(whole[token]))


def test_512_tokens_at_once(tiled: LinearKernel, alone: LinearKernel) -> None:
    states, weight = drawn(512, 70, 64)
    packed = tiled.pack([weight], "bf16")
    whole = tiled.linear(states, packed)
    for token in (0, 100, 511):
        assert torch.equal(bits(alone.linear(states[token], packed)), bits(whole[token]))
