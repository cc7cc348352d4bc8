"""Operations between linear layers against torch's own, alone and in sequence in a plan."""

import ctypes
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from rowcast.engine.decoding.llama.orthogonal import mix
from rowcast.engine.kernels.build import KernelUnavailable, load_kernel
from rowcast.engine.kernels.linear_kernel import SOURCE, LinearKernel
from rowcast.engine.kernels.linear_plan import Plan, add, rms_norm, rotate, swiglu

DTYPES = (torch.float32, torch.bfloat16)
UNIT = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-7}  # relative gap between neighbours
SIZES = (2, 48, 100, 896)
EPSILON = 1e-6


@pytest.fixture(
    scope="module",
    params=[(1, "none"), (2, "none"), (2, "emulated")],
    ids=["one", "two", "tiled"],
)
def kernel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinearKernel]:
    folder = tmp_path_factory.getbasetemp() / "linear-kernels"
    try:
        compiled = load_kernel(SOURCE, folder)
    except KernelUnavailable as error:
        pytest.skip(str(error))
    with LinearKernel(compiled, *request.param) as kernel:
        yield kernel


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    torch.manual_seed(sum(shape))
    return (torch.randn(*shape) * 3).to(dtype)


def assert_near(result: Tensor, expected: Tensor, units: float) -> None:
    """Check that results differ by at most this many units in the last place."""
    assert result.dtype == expected.dtype
    distance = (result.double() - expected.double()).abs()
    assert bool((distance <= units * UNIT[expected.dtype] * expected.double().abs()).all())


def llama_norm(states: Tensor, weight: Tensor) -> Tensor:
    wide = states.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPSILON)
    return weight * wide.to(states.dtype)


def turned(states: Tensor) -> Tensor:
    low, high = states.chunk(2, dim=-1)
    return torch.cat([-high, low], dim=-1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_norm_is_the_llamas(kernel: LinearKernel, dtype: torch.dtype, size: int) -> None:
    states, weight = drawn(37, size, dtype=dtype), drawn(size, dtype=dtype)
    expected = llama_norm(states, weight)
    assert_near(
        rms_norm(kernel, states, weight, EPSILON), expected, 1 if dtype.itemsize == 2 else 6
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_swiglu_is_torchs(kernel: LinearKernel, dtype: torch.dtype, size: int) -> None:
    merged = drawn(37, 2 * size, dtype=dtype)
    gate, up = merged.chunk(2, dim=-1)
    expected = silu(gate) * up
    assert_near(swiglu(kernel, merged), expected, 1 if dtype.itemsize == 2 else 6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mixed", [1, 2, 16, 64])
def test_swiglu_mixes_vectors(kernel: LinearKernel, dtype: torch.dtype, mixed: int) -> None:
    merged = drawn(9, 2 * 2048, dtype=dtype)
    gate, up = merged.chunk(2, dim=-1)
    expected = (silu(gate).double() * up.double()).view(-1, mixed, 16)
    mix(expected)
    result = torch.empty(9, 2048, dtype=dtype)
    Plan(kernel).swiglu(merged, result, mixed).run(9)
    scale = expected.abs().amax()
    distance = (result.double() - expected.view(9, 2048)).abs()
    assert bool((distance <= UNIT[dtype] * scale).all())


@pytest.mark.parametrize(("size", "mixed"), [(96, 4), (96, 3), (2048, 128), (96, 0)])
def test_what_cannot_be_mixed_is_refused(kernel: LinearKernel, size: int, mixed: int) -> None:
    with pytest.raises(ValueError, match=r"mixed|groups"):
        Plan(kernel).swiglu(torch.zeros(1, 2 * size), torch.zeros(1, size), mixed)


def test_swiglu_at_the_edges(kernel: LinearKernel) -> None:
    gate = torch.tensor([0.0, -0.0, 100.0, -100.0, 1e30, -1e30, 1e-30, torch.inf, torch.nan])
    result = swiglu(kernel, torch.cat([gate, torch.ones(9)]))
    torch.testing.assert_close(result, silu(gate), rtol=1e-6, atol=1e-35, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_sum_is_torchs(kernel: LinearKernel, dtype: torch.dtype, size: int) -> None:
    states, others = drawn(37, size, dtype=dtype), drawn(37, size + 1, dtype=dtype)[:, 1:]
    assert torch.equal(add(kernel, states, others.contiguous()), states + others)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_turning_is_torchs(kernel: LinearKernel, dtype: torch.dtype, size: int) -> None:
    states, angles = drawn(37, 5 * size, dtype=dtype), drawn(37, size, dtype=torch.float32)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    heads = states[:, : 3 * size].view(37, 3, size)
    expected = heads * cos[:, None] + turned(heads) * sin[:, None]
    untouched = states[:, 3 * size :].clone()
    result = rotate(kernel, states, 3, cos, sin)
    assert torch.equal(result[:, : 3 * size].view(37, 3, size), expected)
    assert torch.equal(result[:, 3 * size :], untouched)


class Layer:
    """A transformer's feed-forward part, as a plan and step by step."""

    def __init__(self, kernel: LinearKernel, most: int) -> None:
        dtype = torch.bfloat16
        self.kernel = kernel
        self.states = torch.zeros(most, 96, dtype=dtype)
        self.weight = drawn(96, dtype=dtype)
        self.up = kernel.pack([drawn(2 * 160, 96, dtype=dtype)], "bf16")
        self.down = kernel.pack([drawn(96, 160, dtype=dtype) / 30], "int8")
        normed, merged = torch.empty_like(self.states), torch.empty(most, 320, dtype=dtype)
        mixed = torch.empty(most, 160, dtype=dtype)
        self.plan = (
            Plan(kernel)
            .norm(self.states, self.weight, EPSILON, normed)
            .linear(normed, self.up, merged)
            .swiglu(merged, mixed)
            .linear(mixed, self.down, self.states, self.states)
        )

    def run(self, states: Tensor, times: int) -> Tensor:
        self.states[: len(states)] = states
        for _ in range(times):
            self.plan.run(len(states))
        return self.states[: len(states)].clone()

    def step(self, states: Tensor) -> Tensor:
        normed = rms_norm(self.kernel, states, self.weight, EPSILON)
        mixed = swiglu(self.kernel, self.kernel.linear(normed, self.up))
        return self.kernel.linear(mixed, self.down, residual=states)


def test_a_plan_is_its_operations_in_turn(kernel: LinearKernel) -> None:
    layer = Layer(kernel, 64)
    states = drawn(64, 96, dtype=torch.bfloat16)
    assert torch.equal(layer.run(states, 2), layer.step(layer.step(states)))


def test_no_bit_of_a_plan_depends_on_company(kernel: LinearKernel) -> None:
    layer = Layer(kernel, 64)
    states = drawn(64, 96, dtype=torch.bfloat16)
    expected = layer.run(states, 3)
    for first, tokens in ((0, 1), (63, 1), (5, 4), (31, 33)):
        chosen = slice(first, first + tokens)
        assert torch.equal(layer.run(states[chosen], 3), expected[chosen])


@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_are_normed_each_by_itself(kernel: LinearKernel, dtype: torch.dtype) -> None:
    size, weight = 40, drawn(40, dtype=dtype)
    states = drawn(37, 7 * size, dtype=dtype)
    heads = states.view(37, 7, size)[:, 2:5].contiguous()
    before, after = states[:, : 2 * size].clone(), states[:, 5 * size :].clone()
    Plan(kernel).head_norm(states, 2, 3, weight, EPSILON).run(37)
    expected = rms_norm(kernel, heads, weight, EPSILON).view(37, 3 * size)
    assert torch.equal(states[:, 2 * size : 5 * size], expected)
    assert torch.equal(states[:, : 2 * size], before)
    assert torch.equal(states[:, 5 * size :], after)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_a_table_are_picked(kernel: LinearKernel, dtype: torch.dtype) -> None:
    table, to = drawn(50, 33, dtype=dtype), torch.zeros(200, 33, dtype=dtype)
    index = torch.arange(200, dtype=torch.int32) * 7 % 50
    Plan(kernel).pick(table, index, to).run(199)
    assert torch.equal(to[:199], table[index[:199].long()])
    assert to[199].eq(0).all()


def test_another_kernels_work_is_called_in_its_place(kernel: LinearKernel) -> None:
    buffer, seen = torch.ones(4, 16), []

    def observe(context: int | None, tokens: int) -> None:
        seen.append((context, tokens, buffer[0, 0].item()))

    foreign = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(observe)
    address = ctypes.cast(foreign, ctypes.c_void_p).value or 0
    plan = Plan(kernel).add(buffer, buffer, buffer).foreign(address, 42, foreign)
    plan.add(buffer, buffer, buffer).run(4)
    assert seen == [(42, 4, 2.0)]
    assert buffer.eq(4).all()


def test_other_kernels_may_share_out_their_work(kernel: LinearKernel) -> None:
    done = [0] * 1000

    def do(_: int | None, first: int, last: int) -> None:
        for item in range(first, last):
            done[item] += 1

    whole, address = ctypes.c_int64, ctypes.c_void_p
    job = ctypes.CFUNCTYPE(None, address, whole, whole)(do)
    assert kernel.share.value is not None
    share = ctypes.CFUNCTYPE(None, address, address, address, whole, whole)(kernel.share.value)
    share(kernel.pool, ctypes.cast(job, address), None, len(done), 7)
    assert done == [1] * len(done)


def test_buffers_that_do_not_fit_are_refused(kernel: LinearKernel) -> None:
    plan, buffer = Plan(kernel), torch.zeros(4, 64)
    packed = kernel.pack([torch.zeros(64, 64)], "bf16")
    with pytest.raises(ValueError, match="does not read"):
        plan.linear(buffer, packed, buffer)
    with pytest.raises(ValueError, match="it must be"):
        plan.norm(buffer, torch.ones(63), EPSILON, buffer)
    with pytest.raises(ValueError, match="it must be"):
        plan.swiglu(buffer, buffer)
    with pytest.raises(ValueError, match="contiguous"):
        plan.add(buffer.T, buffer.T, torch.zeros(64, 4))
    with pytest.raises(ValueError, match="do not fit"):
        plan.rotate(buffer, 3, torch.zeros(4, 32), torch.zeros(4, 32))
    with pytest.raises(ValueError, match="is not in"):
        plan.head_norm(buffer, 1, 2, torch.ones(32), EPSILON)
    with pytest.raises(ValueError, match="int32"):
        plan.pick(buffer, torch.zeros(4, dtype=torch.int64), buffer)
