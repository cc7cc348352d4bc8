"""A layer's store and attend from a plan, on another kernel's threads: equal to single calls."""

import ctypes
from collections.abc import Iterator

import pytest
import torch

from rowcast.engine.kernels.attention import SOURCE
from rowcast.engine.kernels.attention_native import LayerBuffers, NativeAttention
from rowcast.engine.kernels.build import load_kernel
from rowcast.engine.kernels.linear_kernel import SOURCE as LINEAR_SOURCE
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.linear_plan import Plan

ROWS, HEADS, KV_HEADS, CONTEXT, SIZE, MOST = 8, 6, 2, 700, 64, 24
SCALE = SIZE**-0.5


class Layer:
    """Buffers of random numbers, merged as in a decoder, and half-filled caches."""

    def __init__(self, dtype: torch.dtype, window: int) -> None:
        torch.manual_seed(3)
        merged = torch.randn(MOST, HEADS + 2 * KV_HEADS, SIZE).to(dtype)
        self.buffers = LayerBuffers(
            query=merged[:, :HEADS],
            key=merged[:, HEADS : HEADS + KV_HEADS],
            value=merged[:, HEADS + KV_HEADS :],
            out=torch.zeros(MOST, HEADS * SIZE, dtype=dtype),
            keys=torch.randn(ROWS, KV_HEADS, CONTEXT, SIZE).to(dtype),
            values=torch.randn(ROWS, KV_HEADS, CONTEXT, SIZE).to(dtype),
            row=torch.arange(MOST, dtype=torch.int32) % ROWS,
            position=600 + torch.arange(MOST, dtype=torch.int32) // ROWS,
            scale=SCALE,
            window=window,
        )

    def step(self, attention: NativeAttention, tokens: int) -> torch.Tensor:
        """Return the result of single calls; the caches are left unchanged."""
        of, some = self.buffers, slice(tokens)
        caches, places = (of.keys.clone(), of.values.clone()), (of.row[some], of.position[some])
        attention.store(of.key[some], of.value[some], *caches, *places)
        query, window = of.query[some], of.window
        return attention.attend(query, *caches, *places, scale=SCALE, window=window).flatten(1)


def planned(
    attention: NativeAttention, kernel: LinearKernel, of: LayerBuffers, fault: ctypes.c_int64
) -> Plan:
    pool = kernel.thread_pool
    context = attention.plan(of, pool, fault)
    return Plan(kernel).foreign(attention.planned, ctypes.addressof(context), context, of, fault)


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> NativeAttention:
    return NativeAttention(load_kernel(SOURCE, tmp_path_factory.mktemp("attention")))


@pytest.fixture(scope="module", params=[1, 3])
def kernel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinearKernel]:
    compiled = load_kernel(LINEAR_SOURCE, tmp_path_factory.mktemp("linear"))
    with LinearKernel(compiled, request.param) as made:
        yield made


@pytest.mark.parametrize("window", [0, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_planned_layer_gives_the_bits_of_single_calls(
    attention: NativeAttention, kernel: LinearKernel, dtype: torch.dtype, window: int
) -> None:
    layer, fault = Layer(dtype, window), ctypes.c_int64()
    plan = planned(attention, kernel, layer.buffers, fault)
    for tokens in (1, 5, MOST):
        expected = layer.step(attention, tokens)
        plan.run(tokens)
        assert not fault.value
        assert torch.equal(layer.buffers.out[:tokens], expected)


def test_a_fault_is_told_and_stops_what_follows(
    attention: NativeAttention, kernel: LinearKernel
) -> None:
    layer, fault = Layer(torch.float32, 0), ctypes.c_int64()
    plan = planned(attention, kernel, layer.buffers, fault)
    layer.buffers.position[1] = CONTEXT
    plan.run(2)
    assert fault.value == 1
    layer.buffers.position[1] = 0
    plan.run(2)
    assert layer.buffers.out.eq(0).all()


def test_lent_threads_change_no_bit(attention: NativeAttention, kernel: LinearKernel) -> None:
    layer = Layer(torch.bfloat16, 0)
    expected = layer.step(attention, MOST)
    attention.borrow(kernel.thread_pool)
    try:
        assert torch.equal(layer.step(attention, MOST), expected)
    finally:
        attention.borrow(None)
