"""The names of ARITHMETIC: what the C files are compiled for, and whether tiles multiply.

    name ──choose_arithmetic──▶ Arithmetic, or a sentence that lists what this machine has

`auto` is compiled for the machine at hand. The others are compiled for a level that processors of
several makers share, so that all of a fleet give the same bits. One more arithmetic is one more
line of `ARITHMETICS`, and its name in the settings. Knows no kernel.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rowcast.engine.kernels.build import KernelUnavailable, machine_macros
from rowcast.errors import RowcastError

Tiles = Literal["none", "hardware", "emulated"]


class ArithmeticUnavailable(RowcastError):
    """This machine does not have the arithmetic; the text says which ones it has."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """One way to compute on a CPU."""

    machine: str = "native"  # the compiler's, with further options
    needs: frozenset[str] = frozenset()  # the compiler's macros, where it can run
    tiles: Tiles = "hardware"  # if the machine has them
    chosen: bool = True  # it or nothing, even if it is slow


AUTO = Arithmetic(chosen=False)
WIDE = "x86-64-v4 -mavx512vnni -mavx512bf16"
NEEDS_WIDE = frozenset(
    f"__AVX512{part}__" for part in ("F", "BW", "CD", "DQ", "VL", "VNNI", "BF16")
)
NEEDS_TILES = frozenset(f"__AMX_{part}__" for part in ("TILE", "INT8", "BF16"))
ARITHMETICS: Mapping[str, Arithmetic] = {
    "auto": AUTO,
    "amx": Arithmetic(f"{WIDE} -mamx-tile -mamx-int8 -mamx-bf16", NEEDS_WIDE | NEEDS_TILES),
    "avx512": Arithmetic(WIDE, NEEDS_WIDE, "none"),
    "plain": Arithmetic("x86-64" if os.uname().machine == "x86_64" else "native", tiles="none"),
    "amx-emulated": Arithmetic(tiles="emulated"),
}


def choose_arithmetic(name: str) -> Arithmetic:
    """Return an arithmetic, if this machine has it."""
    wanted = ARITHMETICS[name]
    if wanted.needs and not wanted.needs <= _macros():
        raise missing(name, "the processor or the compiler does not have its instructions")
    return wanted


def missing(name: str, reason: str) -> ArithmeticUnavailable:
    """Return the error for an arithmetic that this machine lacks."""
    here = [other for other in arithmetics_here() if other != name]
    return ArithmeticUnavailable(
        f"ARITHMETIC={name} is not available here, {reason}: set one of {', '.join(here)}"
    )


def arithmetics_here() -> list[str]:
    """Return the names that this machine's processor and compiler have."""
    macros = _macros()
    return [name for name, each in ARITHMETICS.items() if each.needs <= macros]


def _macros() -> frozenset[str]:
    try:
        return machine_macros()
    except KernelUnavailable as error:
        raise ArithmeticUnavailable(
            f"ARITHMETIC needs a C compiler, and {error}: install one, or set ARITHMETIC=auto"
        ) from error
