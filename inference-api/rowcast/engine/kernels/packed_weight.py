"""Packed weights of linear layers, and the structs by which the C file knows them.

    weights ──room_for, beside_of──▶ memory ──packed_of──▶ Packed, which `linear_kernel` fills

Knows the layout's sizes and no library: what the numbers mean is in `c/linear/layer.h`.
"""

import ctypes
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["fp32", "bf16", "int8"]

LANES = 16  # outputs per panel
LINE = 64  # bytes
CHUNK = 32  # bytes of a token's input that the kernel reads at a time
HUGE_PAGE = 1 << 21
LINEAR = 0  # the operation's number
MOST_MIXED = 64  # vectors

KINDS: dict[Kind, int] = {"fp32": 0, "bf16": 1, "int8": 2}
DTYPES = (torch.float32, torch.bfloat16)
_READS: dict[Kind, tuple[torch.dtype, ...]] = {
    "fp32": (torch.float32,),
    "bf16": (torch.bfloat16,),
    "int8": DTYPES,
}
_BESIDE = ("bias", "scale", "start", "directions", "columns")


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


def packed_of(
    kind: Kind, outputs: int, inputs: int, lines: Tensor, beside: Sequence[Tensor]
) -> Packed:
    """Return a weight over its memory, which `pack` has filled or will fill."""
    weight = Weight(outputs=outputs, inputs=inputs, kind=KINDS[kind])
    weight.lines = lines.data_ptr()
    for name, each in zip(_BESIDE, beside, strict=True):
        setattr(weight, name, each.data_ptr() or None)
    weight.unrounded = len(beside[_BESIDE.index("directions")])
    return Packed(kind, outputs, inputs, lines, beside, weight, _calls(kind, weight))


def weight_bytes(outputs: int, inputs: int, kind: Kind) -> int:
    """Return the size of a packed weight: whole panels of whole chunks, and scales next to them."""
    size, beside = {"fp32": (4, 0), "bf16": (2, 0), "int8": (1, 8)}[kind]
    return up(outputs, LANES) * (up(inputs * size, CHUNK) + beside)


def up(number: int, to: int) -> int:
    """Return the least multiple of `to` that is not below a number."""
    return -(-number // to) * to


def room_for(size: int) -> Tensor:
    """Return zeros, in huge pages if the machine supports them, to reduce TLB misses."""
    memory = mmap.mmap(-1, size + HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_PAGE
    return whole[start : start + size]


def beside_of(
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
        0 if unrounded is None else len(unrounded.directions), up(inputs, 4 * LANES)
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
        for written in DTYPES
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
