"""The tile unit in plain C against exact arithmetic, and against the processor's where it has one.

The oracle knows no C: it rounds rational numbers. Covers `kernels/c/amx`.
"""

import ctypes
import os
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from rowcast.engine.kernels.build import Kernel, KernelUnavailable, load_kernel
from rowcast.engine.kernels.linear_kernel import SOURCE

HEADER = SOURCE.parent / "c" / "amx_here.h"
C_SOURCE = f"""
#include "{HEADER}"

static TileShapes shapes = {{1, 0, {{0}}, {{64, 64, 64}}, {{16, 16, 16}}}};

void add(int64_t halves, int64_t rows, const char *a, const char *b, char *c) {{
    shapes.tall[0] = shapes.tall[1] = rows;
    tile_configure(EMULATED, &shapes);
    tile_load(EMULATED, 0, c, 64);
    tile_load(EMULATED, 1, a, 64);
    tile_load(EMULATED, 2, b, 64);
    if (halves) tile_add_halves(EMULATED, 0, 1, 2);
    else tile_add_bytes(EMULATED, 0, 1, 2);
    tile_store(EMULATED, 0, c, 64);
    tile_release(EMULATED);
}}

void zero_without_sizes(void) {{ tile_zero(EMULATED, 0); }}

void add_what_does_not_fit(void) {{
    shapes.tall[2] = 8;
    tile_configure(EMULATED, &shapes);
    tile_add_bytes(EMULATED, 0, 1, 2);
}}

int64_t here(void) {{ return amx_here(); }}
"""
LEAST = Fraction(2) ** -126
LARGEST = Fraction(2) ** 128 - Fraction(2) ** 104
WIDTHS = 16  # rows of a tile, and lanes


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    folder = tmp_path_factory.mktemp("amx")
    source = folder / "unit.c"
    source.write_text(C_SOURCE)
    try:
        return load_kernel(source, folder / "kernels")
    except KernelUnavailable as error:
        pytest.skip(str(error))


def add(unit: Kernel, a: bytes, b: bytes, c: bytes, *, halves: bool) -> bytes:
    room = ctypes.create_string_buffer(c, len(c))
    unit.library.add(ctypes.c_int64(halves), ctypes.c_int64(len(c) // 64), a, b, ctypes.byref(room))
    return room.raw


# ---- the oracle: a number is a float of Python's, each operation is exact and then rounded ----


def rounded(value: Fraction, zero: float) -> float:
    """Round to fp32, half to even; `zero` is what a value without size, or a tiny one, becomes."""
    if not value:
        return zero
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    unit = Fraction(2) ** (exponent - 23)
    near = Fraction(round(size / unit)) * unit  # Python rounds half to even, too
    if near < LEAST:
        return -0.0 if value < 0 else 0.0
    result = float("inf") if near > LARGEST else float(near)
    return -result if value < 0 else result


def flushed(value: float) -> float:
    return value * 0.0 if abs(value) < LEAST else value


def fused(a: float, b: float, c: float) -> float:
    a, b, c = flushed(a), flushed(b), flushed(c)
    exact = all(abs(each) < float("inf") for each in (a, b, c))
    if not exact or not a * b:
        return a * b + c  # infinities, no number, and the signs of zeros
    return rounded(Fraction(a) * Fraction(b) + Fraction(c), 0.0)


def expected_halves(a: Sequence[float], column: Sequence[float], start: float) -> float:
    """Add the products of 32 numbers to `start`, as the manual says."""
    chains = [0.0, 0.0]
    for at, (one, other) in enumerate(zip(a, column, strict=True)):
        chains[at % 2] = fused(one, other, chains[at % 2])
    return fused(1.0, fused(1.0, chains[0], chains[1]), start)


# ---- numbers of every kind ----


def half(draw: random.Random, kind: str) -> int:
    """Return the bits of a bf16."""
    if kind == "any":
        return draw.getrandbits(16)
    sign, digits = draw.getrandbits(1) << 15, draw.getrandbits(7)
    low, high = {"ordinary": (117, 133), "tiny": (60, 68), "denormal": (0, 2)}[kind]
    return sign | draw.randrange(low, high) << 7 | digits


def number(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def bits_of(value: float) -> int:
    """Return the bf16 that a number is."""
    raw = struct.pack("<f", value)
    assert raw[:2] == bytes(2)
    return int.from_bytes(raw[2:], "little")


def halves(raw: bytes, rows: int) -> list[list[float]]:
    words = struct.unpack(f"<{32 * rows}H", raw)
    return [[number(word << 16) for word in words[32 * row : 32 * row + 32]] for row in range(rows)]


def same(one: float, other: float) -> bool:
    """True if the bits are equal; no number is equal to any other such."""
    return (one != one and other != other) or struct.pack("<f", one) == struct.pack("<f", other)


@pytest.mark.parametrize("rows", [1, 16])
@pytest.mark.parametrize("kind", ["ordinary", "tiny", "denormal", "any"])
def test_products_of_bf16_are_those_of_the_manual(unit: Kernel, kind: str, rows: int) -> None:
    draw = random.Random(f"{kind} {rows}")
    other = "ordinary" if kind == "denormal" else kind
    a = struct.pack(f"<{32 * rows}H", *(half(draw, kind) for _ in range(32 * rows)))
    b = struct.pack("<512H", *(half(draw, other) for _ in range(512)))
    c = struct.pack(f"<{16 * rows}I", *(half(draw, kind) << 16 for _ in range(16 * rows)))
    found = struct.unpack(f"<{16 * rows}f", add(unit, a, b, c, halves=True))
    lines = halves(b, 16)
    starts = struct.unpack(f"<{16 * rows}f", c)
    for row, given in list(enumerate(halves(a, rows)))[::5]:
        for lane in range(WIDTHS):
            column = [lines[k // 2][2 * lane + k % 2] for k in range(32)]
            wanted = expected_halves(given, column, starts[16 * row + lane])
            assert same(found[16 * row + lane], wanted), (row, lane)


@pytest.mark.parametrize(
    ("product", "result"),
    [(2.0**-150, 0.0), (1.5 * 2.0**-151, 0.0), (2.0**-151, 2.0**-126), (2.0**-152, 2.0**-126)],
)
def test_what_only_coarse_denormals_round_up_is_tiny(
    unit: Kernel, product: float, result: float
) -> None:
    """2^-126 less a product: with 24 bits of any exponent, half a unit or less leaves 2^-126."""
    a, b = bytearray(64), bytearray(1024)
    for group, (one, other) in enumerate(((1.0, 2.0**-126), (-(2.0**-75), product * 2.0**75))):
        struct.pack_into("<H", a, 4 * group, bits_of(one))
        struct.pack_into("<H", b, 64 * group, bits_of(other))
    found = struct.unpack("<16f", add(unit, bytes(a), bytes(b), bytes(64), halves=True))
    assert found[0] == result
    assert fused(-(2.0**-75), product * 2.0**75, 2.0**-126) == result


@pytest.mark.parametrize("rows", [1, 7, 16])
def test_products_of_bytes_are_exact(unit: Kernel, rows: int) -> None:
    draw = random.Random(rows)
    a, b = draw.randbytes(64 * rows), draw.randbytes(1024)
    c = draw.randbytes(64 * rows)
    found = struct.unpack(f"<{16 * rows}i", add(unit, a, b, c, halves=False))
    starts = struct.unpack(f"<{16 * rows}i", c)
    signed = struct.unpack("<1024b", b)
    for at, value in enumerate(found):
        row, lane = divmod(at, WIDTHS)
        whole = starts[at] + sum(
            a[64 * row + k] * signed[64 * (k // 4) + 4 * lane + k % 4] for k in range(64)
        )
        assert value == (whole + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("fault", ["zero_without_sizes", "add_what_does_not_fit"])
def test_without_fitting_sizes_the_process_ends(unit: Kernel, fault: str) -> None:
    code = "import ctypes, sys; getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])()"
    command = [sys.executable, "-S", "-c", code, unit.library._name, fault]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode < 0


def test_a_unit_is_found_only_where_the_processor_has_one(unit: Kernel) -> None:
    cpus = Path("/proc/cpuinfo")
    has = cpus.exists() and "amx_bf16" in cpus.read_text() and os.uname().machine == "x86_64"
    assert has or unit.library.here() != 0
