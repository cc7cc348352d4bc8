"""Several operations of a step in one call: a list made once, run over any number of tokens.

    Plan(kernel).norm(…).linear(…).rotate(…).foreign(…).linear(…)  ──run(tokens)──▶  the buffers

Buffers are [most tokens, size], contiguous and fixed; a run treats their first `tokens` rows. The
roundings are those of a transformers model run op by op: results are kept in the buffers' dtype
after each. Single operations on fresh tensors: `rms_norm`, `swiglu`, `add`, `rotate`.
"""

import ctypes
from typing import Self

import torch
from torch import Tensor

from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.packed_weight import (
    LANES,
    MOST_MIXED,
    Operation,
    Packed,
    linear_operation,
)

_NORM, _SWIGLU, _SUM, _ROTATE, _FOREIGN, _PICK, _CLAMPED = range(1, 8)


class Plan:
    """Operations in their order; keeps every buffer alive."""

    def __init__(self, kernel: LinearKernel) -> None:
        self._kernel = kernel
        self._operations: list[Operation] = []
        self._alive: list[object] = []
        self._ready: ctypes.Array[Operation] | None = None

    def run(self, tokens: int) -> None:
        """Run all operations over the first rows of every buffer."""
        if self._ready is None:
            self._ready = (Operation * len(self._operations))(*self._operations)
        self._kernel.run(self._ready, tokens)

    def linear(
        self, states: Tensor, packed: Packed, to: Tensor, residual: Tensor | None = None
    ) -> Self:
        """to = states @ weight.T + bias, + residual. `to` may be the residual itself."""
        if states.dtype not in packed.reads:
            raise ValueError(f"a weight in {packed.kind} does not read {states.dtype}")
        _want(states, packed.inputs, states.dtype)
        _want(to, packed.outputs, to.dtype)
        operation = linear_operation(packed.weight, states.dtype, to.dtype)
        operation.source, operation.to = states.data_ptr(), to.data_ptr()
        if residual is not None:
            operation.extra = _want(residual, packed.outputs, to.dtype).data_ptr()
        return self._add(operation, states, packed, to, residual)

    def norm(self, states: Tensor, weight: Tensor, epsilon: float, to: Tensor) -> Self:
        """to = states / root mean square, times weight."""
        size = states.shape[-1]
        operation = _over(_NORM, states, _want(to, size, states.dtype), size)
        operation.extra = _want(weight, size, states.dtype).data_ptr()
        operation.epsilon = epsilon
        return self._add(operation, states, weight, to)

    def head_norm(
        self, states: Tensor, first: int, heads: int, weight: Tensor, epsilon: float
    ) -> Self:
        """Normalize heads `first` to `first + heads` of each row in place, each by itself."""
        size = weight.shape[-1]
        if (first + heads) * size > states.shape[-1]:
            raise ValueError(f"head {first + heads} of {size} is not in {states.shape[-1]}")
        operation = _over(_NORM, states, states, size)
        operation.source = operation.to = states.data_ptr() + first * size * states.element_size()
        operation.heads = heads
        operation.extra = _want(weight, size, states.dtype).data_ptr()
        operation.epsilon = epsilon
        return self._add(operation, states, weight)

    def swiglu(self, merged: Tensor, to: Tensor, mixed: int = 1) -> Self:
        """to = silu(first half of merged) * second half.

        `mixed`, a power of two, replaces the vectors of 16 results, in groups of this many, by
        their sums and differences (the Hadamard matrix of ones). It spreads one large result over
        all.
        """
        size = merged.shape[-1] // 2
        _want(merged, 2 * size, merged.dtype)
        if not 1 <= mixed <= MOST_MIXED or mixed & (mixed - 1):
            raise ValueError(f"{mixed} vectors cannot be mixed: a power of two up to {MOST_MIXED}")
        if mixed > 1 and size % (mixed * LANES):
            raise ValueError(f"{size} results are not groups of {mixed} vectors of {LANES}")
        operation = _over(_SWIGLU, merged, _want(to, size, merged.dtype), size)
        operation.mixed = mixed
        return self._add(operation, merged, to)

    def clamped(self, merged: Tensor, steep: float, limit: float, to: Tensor) -> Self:
        """to = (up + 1) * gate * sigmoid(steep * gate), gate at most `limit`, up within ±limit."""
        size = merged.shape[-1] // 2
        _want(merged, 2 * size, merged.dtype)
        numbers = torch.tensor([steep, limit])
        operation = _over(_CLAMPED, merged, _want(to, size, merged.dtype), size)
        operation.extra = numbers.data_ptr()
        return self._add(operation, merged, to, numbers)

    def add(self, states: Tensor, others: Tensor, to: Tensor) -> Self:
        """to = states + others."""
        size = states.shape[-1]
        operation = _over(_SUM, states, _want(to, size, states.dtype), size)
        operation.extra = _want(others, size, states.dtype).data_ptr()
        return self._add(operation, states, others, to)

    def rotate(self, states: Tensor, heads: int, cos: Tensor, sin: Tensor) -> Self:
        """Rotate the first `heads` heads of each row in place: x cos + half-turned x sin."""
        size = cos.shape[-1]
        if heads * size > states.shape[-1] or size % 2:
            raise ValueError(f"{heads} heads of {size} do not fit rows of {states.shape[-1]}")
        operation = _over(_ROTATE, states, states, size)
        operation.heads = heads
        operation.extra = _want(cos, size, states.dtype).data_ptr()
        operation.also = _want(sin, size, states.dtype).data_ptr()
        return self._add(operation, states, cos, sin)

    def pick(self, table: Tensor, index: Tensor, to: Tensor) -> Self:
        """to = table[index]. The caller ensures that the table has these rows."""
        size = table.shape[-1]
        if index.dtype != torch.int32 or not index.is_contiguous():
            raise ValueError(f"an index must be contiguous int32, not {index.dtype}")
        operation = _over(_PICK, table, _want(to, size, table.dtype), size)
        operation.extra = index.data_ptr()
        return self._add(operation, table, index, to)

    def foreign(self, function: int, context: int, *alive: object) -> Self:
        """Call another kernel's function on the caller's thread.

        Its signature is `void function(void *context, int64_t tokens)`. It may distribute its work
        by `LinearKernel.share(pool, …)`.
        """
        return self._add(Operation(what=_FOREIGN, foreign=function, source=context), *alive)

    def _add(self, operation: Operation, *alive: object) -> Self:
        self._operations.append(operation)
        self._alive.extend(alive)
        self._ready = None
        return self


def rms_norm(kernel: LinearKernel, states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return a Llama's norm: fp32 inside, rounded, then times the weight."""
    out = torch.empty_like(states)
    Plan(kernel).norm(states, weight, epsilon, out).run(_rows(states))
    return out


def swiglu(kernel: LinearKernel, merged: Tensor) -> Tensor:
    """Return silu(gate) * up of rows that hold gate and up side by side."""
    out = merged.new_empty((*merged.shape[:-1], merged.shape[-1] // 2))
    Plan(kernel).swiglu(merged, out).run(_rows(merged))
    return out


def add(kernel: LinearKernel, states: Tensor, others: Tensor) -> Tensor:
    """Return states + others."""
    out = torch.empty_like(states)
    Plan(kernel).add(states, others, out).run(_rows(states))
    return out


def rotate(kernel: LinearKernel, states: Tensor, heads: int, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first heads of `states` in place, and return it."""
    Plan(kernel).rotate(states, heads, cos, sin).run(_rows(states))
    return states


def _rows(states: Tensor) -> int:
    return states.numel() // states.shape[-1]


def _over(what: int, states: Tensor, to: Tensor, size: int) -> Operation:
    if not states.is_contiguous():
        raise ValueError("buffers must be contiguous")
    return Operation(
        what=what,
        half=states.dtype == torch.bfloat16,
        out_half=to.dtype == torch.bfloat16,
        source=states.data_ptr(),
        to=to.data_ptr(),
        source_step=states.shape[-1],
        to_step=to.shape[-1],
        size=size,
    )


def _want(buffer: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Return the buffer if it fits the kernel's expectations; otherwise raise ValueError."""
    if not buffer.is_contiguous() or buffer.dtype != dtype or buffer.shape[-1] != size:
        raise ValueError(f"{buffer.dtype} {tuple(buffer.shape)}: it must be {dtype} [..., {size}]")
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"plans do not support {dtype}")
    return buffer
