"""Linear layers in C: products with weights that are packed once.

    weights ──pack──▶ Packed;  linear(states, Packed) ──▶ states @ weight.T + bias, + residual

Kinds: fp32, bf16, int8 (weights scaled by output, inputs by token at run time; sums exact). The
bits of a token's result depend on its input and the weights: not on the number of tokens, its place
among them or the number of threads. Where the processor has a tile unit, that multiplies: in int8
with the same bits, in bf16 with its own. Several operations in one call: `linear_plan`. Knows no
model's layers. `python -m rowcast.engine.measuring.linear_bench` prints figures.
"""

import ctypes
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic, ArithmeticUnavailable, Tiles
from rowcast.engine.kernels.build import Kernel, KernelUnavailable, load_kernel
from rowcast.engine.kernels.packed_weight import (
    DTYPES,
    KINDS,
    LANES,
    LINE,
    Kind,
    Operation,
    Packed,
    Unrounded,
    Weight,
    beside_of,
    packed_of,
    room_for,
    up,
)
from rowcast.engine.kernels.threads import Threads
from rowcast.engine.kernels.tiles import tiles_of

SOURCE = Path(__file__).with_name("linear_kernel.c")
_TILES: dict[Tiles, int] = {"none": 0, "hardware": 1, "emulated": 2}
_log = logging.getLogger(__name__)


class LinearKernel:
    """The compiled kernel and its threads; belongs to the process that created it."""

    def __init__(self, kernel: Kernel, threads: int, tiles: Tiles = "none") -> None:
        self._library = library = kernel.library
        _declare(library)
        self.pool = ctypes.c_void_p(library.rowcast_gather(threads))
        if not self.pool:
            raise MemoryError("not enough memory for the kernel's threads")
        library.rowcast_use_tiles(self.pool, _TILES[tiles])
        self.threads = threads
        self._tiles = tiles
        self._key = kernel.key[:8]
        self.share = ctypes.cast(library.rowcast_share, ctypes.c_void_p)  # for other kernels
        self.name = f"c-{library.rowcast_arithmetic().decode()}-{self._key}"
        self._linear = library.rowcast_linear

    @property
    def thread_pool(self) -> Threads:
        """Its threads, for other kernels to run on."""
        return Threads(self.threads, self.share.value or 0, self.pool.value or 0)

    def name_of(self, *kinds: Kind) -> str:
        """Identify the arithmetic of kinds of weights: equal names give equal bits."""
        by_tiles = "bf16" in kinds and self._tiles != "none"
        name = f"c-amx-{self._key}" if by_tiles else self.name
        return f"{name}-{'+'.join(kinds)}"

    def close(self) -> None:
        """End the threads."""
        if self.pool:
            self._library.rowcast_leave(self.pool)
            self.pool = ctypes.c_void_p()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pack(
        self,
        weights: Sequence[Tensor],
        kind: Kind,
        bias: Tensor | None = None,
        unrounded: Unrounded | None = None,
    ) -> Packed:
        """Pack weights [outputs, inputs] that read the same input as one."""
        inputs = weights[0].shape[1]
        outputs = sum(len(each) for each in weights)
        weight = Weight(outputs=outputs, inputs=inputs, kind=KINDS[kind])
        padded = up(outputs, LANES)
        lines = room_for(padded // LANES * self._library.rowcast_lines(ctypes.byref(weight)) * LINE)
        packed = packed_of(
            kind, outputs, inputs, lines, beside_of(kind, padded, inputs, bias, unrounded)
        )
        first = 0
        for rows in weights:
            self._pack(packed.weight, rows.detach().contiguous(), first)
            first += len(rows)
        return packed

    def _pack(self, weight: Weight, rows: Tensor, first: int) -> None:
        if rows.dtype not in DTYPES or rows.dim() != 2 or rows.shape[1] != weight.inputs:
            raise ValueError(f"cannot pack {rows.dtype} {tuple(rows.shape)}")
        half, count = rows.dtype == torch.bfloat16, len(rows)
        check(self._library.rowcast_pack(ctypes.byref(weight), rows.data_ptr(), half, first, count))

    def linear(
        self,
        states: Tensor,
        packed: Packed,
        *,
        residual: Tensor | None = None,
        out: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Multiply states [..., inputs] to [..., outputs], by default in the dtype of `states`."""
        inputs = packed.inputs
        shape = (*states.shape[:-1], packed.outputs)
        if states.shape[-1] != inputs:
            raise ValueError(f"states of {states.shape[-1]} for a weight of {inputs} inputs")
        if out is None:
            out = states.new_empty(shape, dtype=dtype)
        elif out.shape != shape or not out.is_contiguous():
            raise ValueError(f"out is {tuple(out.shape)}, it must be {shape} and contiguous")
        if not states.is_contiguous():
            states = states.contiguous()
        state = self._linear(
            self.pool,
            packed.calls[states.dtype, out.dtype],
            states.data_ptr(),
            out.data_ptr(),
            None if residual is None else _fitting(residual, out).data_ptr(),
            states.numel() // inputs,
        )
        if state:
            check(state)
        return out

    def turn(self, rows: Tensor, signs: Tensor, factors: Tensor) -> None:
        """Turn each row in place: signs, a Hadamard matrix, factors [odd, odd] between its parts.

        The numbers are the same on every machine: sums are in one order and never fused.
        """
        (count, size), odd = rows.shape, len(factors)
        even = size // odd
        if even * odd != size or even & (even - 1) or len(signs) != size:
            raise ValueError(f"rows of {size} are not {odd} parts of a power of two")
        if any(each.dtype != torch.float32 for each in (rows, signs, factors)):
            raise ValueError("turn needs fp32 tensors")
        if not rows.is_contiguous():
            raise ValueError("rows must be contiguous")
        addresses = (rows.data_ptr(), count, signs.data_ptr(), factors.data_ptr())
        check(self._library.rowcast_turn(*addresses, even, odd))

    def run(self, operations: "ctypes.Array[Operation]", tokens: int) -> None:
        """Run every operation in order, each over this many tokens."""
        check(self._library.rowcast_run(self.pool, operations, len(operations), tokens))


def choose_linear(
    threads: int,
    folder: Path | None = None,
    *,
    slow_too: bool = False,
    arithmetic: Arithmetic = AUTO,
) -> LinearKernel | None:
    """Return the kernel, or None if torch is the better choice. `folder` stores compiled code.

    `slow_too`: accept the kernel's plain code, when nothing else reads the weights. An arithmetic
    that was chosen is accepted in any case.
    """
    try:
        kernel = load_kernel(SOURCE, folder, arithmetic.machine)
    except KernelUnavailable as error:
        if arithmetic.chosen:
            raise ArithmeticUnavailable(f"ARITHMETIC is set, but {error}") from error
        _log.warning("linear=torch reason=%r", str(error))
        return None
    if not kernel.library.rowcast_is_fast():
        if not (slow_too or arithmetic.chosen):
            _log.info("linear=torch reason='the processor has no AVX2'")
            return None
        _log.warning("linear=slow reason='the processor has no AVX2'")
    return LinearKernel(kernel, threads, tiles_of(kernel, arithmetic))


def check(state: int) -> None:
    """Raise the exception for a fault of the kernel."""
    if state:
        raise MemoryError("not enough memory for a linear layer's inputs")


def _declare(library: ctypes.CDLL) -> None:
    whole, address = ctypes.c_int64, ctypes.c_void_p
    library.rowcast_gather.restype = address
    library.rowcast_gather.argtypes = [whole]
    library.rowcast_leave.argtypes = [address]
    library.rowcast_leave.restype = None
    library.rowcast_lines.restype = whole
    library.rowcast_arithmetic.restype = ctypes.c_char_p
    library.rowcast_use_tiles.argtypes = [address, whole]
    library.rowcast_use_tiles.restype = None
    library.rowcast_run.argtypes = [address, address, whole, whole]
    library.rowcast_linear.argtypes = [address] * 5 + [whole]
    library.rowcast_turn.argtypes = [address, whole, address, address, whole, whole]
    library.rowcast_pack.argtypes = [address, address, whole, whole, whole]


def _fitting(residual: Tensor, out: Tensor) -> Tensor:
    if residual.shape != out.shape or residual.dtype != out.dtype:
        raise ValueError(f"residual is {residual.dtype} {tuple(residual.shape)}, out is not")
    return residual.contiguous()
