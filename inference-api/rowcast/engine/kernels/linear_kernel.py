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
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor

from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic, ArithmeticUnavailable, Tiles
from rowcast.engine.kernels.build import Kernel, KernelUnavailable, load_kernel
from rowcast.engine.kernels.threads import Threads
from rowcast.engine.kernels.tiles import tiles_of

Kind = Literal["fp32", "bf16", "int8"]

SOURCE = Path(__file__).with_name("linear_kernel.c")
LANES = 16  # outputs per panel
LINE = 64  # bytes
CHUNK = 32  # bytes of a token's input that the kernel reads at a time
HUGE_PAGE = 1 << 21
LINEAR = 0  # the operation's number
MOST_MIXED = 64  # vectors

_KINDS: dict[Kind, int] = {"fp32": 0, "bf16": 1, "int8": 2}
_DTYPES = (torch.float32, torch.bfloat16)
_READS: dict[Kind, tuple[torch.dtype, ...]] = {
    "fp32": (torch.float32,),
    "bf16": (torch.bfloat16,),
    "int8": _DTYPES,
}
_TILES: dict[Tiles, int] = {"none": 0, "hardware": 1, "emulated": 2}
_BESIDE = ("bias", "scale", "start", "directions", "columns")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unrounded:
    """Directions of the input that int8 excludes from its rounding: few, and large in every token.

    A token's part along them is multiplied in fp32, the rest as usual.
    """

    directions: Tensor  # [count, inputs]: each of length 1, at right angles to the others
    columns: Tensor  # [count, outputs]: the weights times each


class Weight(ctypes.Structure):
    """A struct as the C file declares it; `unrounded` is its `apart`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("lines", *_BESIDE)),
        *((name, ctypes.c_int64) for name in ("outputs", "inputs", "kind", "unrounded")),
    )


class Operation(ctypes.Structure):
    """A struct as the C file declares it; `source`, `extra` are its `from` and `with`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("what", "half", "out_half")),
        *((name, ctypes.c_void_p) for name in ("source", "extra", "also", "to")),
        *((name, ctypes.c_void_p) for name in ("weight", "foreign")),
        *((name, ctypes.c_int64) for name in ("source_step", "to_step", "size", "heads", "mixed")),
        ("epsilon", ctypes.c_double),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A weight in the kernel's layout, and the memory that it owns."""

    kind: Kind
    outputs: int
    inputs: int
    lines: Tensor
    beside: Sequence[Tensor]  # in the order of _BESIDE
    weight: Weight
    calls: Mapping[tuple[torch.dtype, torch.dtype], object]  # by the dtypes read and written

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.numel() * each.itemsize for each in (self.lines, *self.beside))

    @property
    def reads(self) -> tuple[torch.dtype, ...]:
        """The dtypes that its inputs may have."""
        return _READS[self.kind]


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
        weight = Weight(outputs=outputs, inputs=inputs, kind=_KINDS[kind])
        padded = _up(outputs, LANES)
        lines = _room(padded // LANES * self._library.rowcast_lines(ctypes.byref(weight)) * LINE)
        packed = packed_of(
            kind, outputs, inputs, lines, _beside(kind, padded, inputs, bias, unrounded)
        )
        first = 0
        for rows in weights:
            self._pack(packed.weight, rows.detach().contiguous(), first)
            first += len(rows)
        return packed

    def _pack(self, weight: Weight, rows: Tensor, first: int) -> None:
        if rows.dtype not in _DTYPES or rows.dim() != 2 or rows.shape[1] != weight.inputs:
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


def packed_of(
    kind: Kind, outputs: int, inputs: int, lines: Tensor, beside: Sequence[Tensor]
) -> Packed:
    """Return a weight over its memory, which `pack` has filled or will fill."""
    weight = Weight(outputs=outputs, inputs=inputs, kind=_KINDS[kind])
    weight.lines = lines.data_ptr()
    for name, each in zip(_BESIDE, beside, strict=True):
        setattr(weight, name, each.data_ptr() or None)
    weight.unrounded = len(beside[_BESIDE.index("directions")])
    return Packed(kind, outputs, inputs, lines, beside, weight, _calls(kind, weight))


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


def weight_bytes(outputs: int, inputs: int, kind: Kind) -> int:
    """Return the size of a packed weight: whole panels of whole chunks, and scales next to them."""
    size, beside = {"fp32": (4, 0), "bf16": (2, 0), "int8": (1, 8)}[kind]
    return _up(outputs, LANES) * (_up(inputs * size, CHUNK) + beside)


def _up(number: int, to: int) -> int:
    return -(-number // to) * to


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


def _room(size: int) -> Tensor:
    """Return zeros, in huge pages if the machine supports them, to reduce TLB misses."""
    memory = mmap.mmap(-1, size + HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_PAGE
    return whole[start : start + size]


def _beside(
    kind: Kind, outputs: int, inputs: int, bias: Tensor | None, unrounded: Unrounded | None
) -> Sequence[Tensor]:
    """Return the numbers per output, zeros past the last; a tensor is empty if it has none."""
    if unrounded is not None and kind != "int8":
        raise ValueError(f"{kind} does not round inputs: pass no `unrounded`")
    scaled = outputs if kind == "int8" else 0
    wide = torch.zeros(0 if bias is None else outputs)
    if bias is not None:
        wide[: len(bias)] = bias.detach()
    directions = torch.zeros(
        0 if unrounded is None else len(unrounded.directions), _up(inputs, 4 * LANES)
    )
    columns = torch.zeros(len(directions), outputs, dtype=torch.bfloat16)
    if unrounded is not None:
        directions[:, :inputs] = unrounded.directions
        columns[:, : unrounded.columns.shape[1]] = unrounded.columns
    start = torch.zeros(scaled, dtype=torch.int32)
    return wide, torch.zeros(scaled), start, directions, columns


def _calls(kind: Kind, weight: Weight) -> dict[tuple[torch.dtype, torch.dtype], object]:
    """Return the operations that `linear` passes, made once."""
    return {
        (read, written): ctypes.byref(linear_operation(weight, read, written))
        for read in _READS[kind]
        for written in _DTYPES
    }


def linear_operation(weight: Weight, read: torch.dtype, written: torch.dtype) -> Operation:
    """Return a linear layer's operation, except for the addresses of its input and output."""
    return Operation(
        what=LINEAR,
        half=read == torch.bfloat16,
        out_half=written == torch.bfloat16,
        weight=ctypes.addressof(weight),
        source_step=weight.inputs,
        to_step=weight.outputs,
        size=weight.inputs,
    )


def _fitting(residual: Tensor, out: Tensor) -> Tensor:
    if residual.shape != out.shape or residual.dtype != out.dtype:
        raise ValueError(f"residual is {residual.dtype} {tuple(residual.shape)}, out is not")
    return residual.contiguous()
