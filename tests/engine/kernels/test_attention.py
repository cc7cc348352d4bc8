"""Both implementations of attention against the plain formula, and their refusals.

Covers `attention_native`, `attention_torch`.
"""

import logging
import platform
from pathlib import Path

import pytest
import torch

from engine.kernels.attention_cases import (
    Caches,
    Options,
    Shape,
    formula,
    implementation,
    split,
    states,
)
from rowcast.engine.kernels.attention import Attention, choose_attention
from rowcast.engine.kernels.attention_native import NativeAttention
from rowcast.engine.kernels.attention_torch import TorchAttention

DTYPES = (torch.float32, torch.bfloat16)
TOLERANCE = {torch.float32: 4e-6, torch.bfloat16: 8e-3}
SHAPES = (
    Shape(6, 2, 64, 64),
    Shape(14, 2, 64, 64),
    Shape(4, 4, 80, 80),
    Shape(4, 1, 20, 36),
    Shape(3, 1, 17, 33),
    Shape(2, 2, 256, 128),
    Shape(20, 1, 16, 16),
)
PLACES = [(0, 0), (1, 63), (1, 64), (1, 66), (2, 511), (-1, 0), (3, 512), (3, 90), (4, 599), (4, 7)]
X86_64 = platform.machine() == "x86_64"


def machine_has(feature: str) -> bool:
    """True if this Linux machine's CPU has an extension."""
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and feature in cpu.read_text().split()


MACHINES = (
    "torch",
    "native",
    pytest.param("x86-64", marks=pytest.mark.skipif(not X86_64, reason="another architecture")),
    pytest.param("x86-64-v3", marks=pytest.mark.skipif(not machine_has("avx2"), reason="no AVX2")),
    pytest.param(
        "x86-64-v4", marks=pytest.mark.skipif(not machine_has("avx512bw"), reason="no AVX-512")
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "kernels"


@pytest.fixture(scope="module", params=MACHINES)
def attention(request: pytest.FixtureRequest, folder: Path) -> Attention:
    return implementation(request.param, folder)


@pytest.fixture
def filled() -> Caches:
    """Return five rows of ten keys."""
    torch.manual_seed(3)
    caches = Caches(Shape(4, 2, 16, 16), rows=5, context=40, dtype=torch.float32)
    for row in range(5):
        caches.fill(row, states(10, 2, 16, torch.float32), states(10, 2, 16, torch.float32))
    return caches


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_the_formula(attention: Attention, shape: Shape, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    caches = Caches(shape, rows=5, context=600, dtype=dtype)
    for row in range(5):
        held = 1 + max((at for of, at in PLACES if of == row), default=0)
        keys = states(held, shape.kv_heads, shape.key_size, dtype)
        caches.fill(row, keys, states(held, shape.kv_heads, shape.value_size, dtype))
    query = states(len(PLACES), shape.heads, shape.key_size, dtype)
    for name, how in shape.options(600).items():
        wanted = formula(query, caches, PLACES, how)
        got = caches.attend(attention, query, PLACES, how)
        assert got.dtype == dtype
        worst = (got.double() - wanted).abs().max() / wanted.abs().max()
        assert worst < TOLERANCE[dtype], name


def test_a_slot_without_a_token_gets_zeros(attention: Attention, filled: Caches) -> None:
    query = states(3, 4, 16, torch.float32)
    got = filled.attend(attention, query, [(-1, 0), (1, 9), (-1, 99)], Options())
    assert not got[[0, 2]].any()
    assert got[1].all()


def test_a_query_may_lie_scattered(attention: Attention, filled: Caches) -> None:
    query = states(6, 4, 16, torch.float32)
    places = [(0, 1), (0, 2), (3, 9), (4, 0), (2, 7), (1, 5)]
    wanted = filled.attend(attention, query, places, Options())
    by_head = query.transpose(0, 1).contiguous().transpose(0, 1)
    by_number = query.transpose(1, 2).contiguous().transpose(1, 2)
    for scattered in (by_head, by_number):
        assert torch.equal(filled.attend(attention, scattered, places, Options()), wanted)


def test_a_bad_number_spoils_its_own_row_alone(attention: Attention, filled: Caches) -> None:
    query = states(3, 4, 16, torch.float32)
    filled.keys[1, :, 4] = torch.nan
    filled.values[2, :, 4] = torch.inf
    got = filled.attend(attention, query, [(1, 4), (2, 4), (1, 3)], Options())
    assert got[0].isnan().all()
    assert not got[1].isfinite().any()
    assert got[2].isfinite().all()


def test_no_tokens_no_output(attention: Attention, filled: Caches) -> None:
    nowhere = torch.empty(0, dtype=torch.int32)
    query = torch.empty(0, 4, 16)
    got = attention.attend(query, filled.keys, filled.values, nowhere, nowhere, scale=1.0)
    assert got.shape == (0, 4, 16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("places", [[(2, 3), (-1, 0), (0, 9), (2, 4)], [(-1, 0), (-1, 5)]])
def test_store_writes_each_token_and_nothing_else(
    attention: Attention, places: list[tuple[int, int]], dtype: torch.dtype
) -> None:
    torch.manual_seed(2)
    shape = Shape(4, 2, 20, 12)
    caches = Caches(shape, rows=3, context=10, dtype=dtype)
    caches.keys.zero_()
    caches.values.zero_()
    merged = torch.randn(len(places), 2, 40).to(dtype)
    key, value = merged[:, :, 3:23], merged[:, :, 25:37]
    keys, values = caches.keys.clone(), caches.values.clone()
    for token, (row, position) in enumerate(places):
        if row >= 0:
            keys[row, :, position], values[row, :, position] = key[token], value[token]
    rows, positions = split(places)
    attention.store(key, value, caches.keys, caches.values, rows, positions)
    assert torch.equal(caches.keys, keys)
    assert torch.equal(caches.values, values)


@pytest.mark.parametrize("place", [(5, 0), (0, 40), (0, -1)])
def test_a_place_outside_the_cache_is_refused(
    folder: Path, filled: Caches, place: tuple[int, int]
) -> None:
    native = implementation("native", folder)
    row, position = (torch.tensor([number], dtype=torch.int32) for number in place)
    keys, values = filled.keys, filled.values
    with pytest.raises(ValueError, match="outside"):
        native.attend(torch.ones(1, 4, 16), keys, values, row, position, scale=1.0)
    with pytest.raises(ValueError, match="outside"):
        native.store(torch.ones(1, 2, 16), torch.ones(1, 2, 16), keys, values, row, position)


def test_what_does_not_fit_is_refused(folder: Path, filled: Caches) -> None:
    native, (keys, values) = implementation("native", folder), (filled.keys, filled.values)
    here = torch.zeros(1, dtype=torch.int32)
    query, part = torch.ones(1, 4, 16), torch.ones(1, 2, 16)
    with pytest.raises(ValueError, match="do not fit"):
        native.attend(torch.ones(1, 3, 16), keys, values, here, here, scale=1.0)
    with pytest.raises(ValueError, match="pair"):
        native.attend(query, keys, values[:4], here, here, scale=1.0)
    with pytest.raises(ValueError, match="int32"):
        native.attend(query, keys, values, here.long(), here, scale=1.0)
    with pytest.raises(ValueError, match="constant"):
        native.attend(query, keys, values, here, here, scale=1.0, sinks=torch.ones(3))
    with pytest.raises(ValueError, match="contiguous in their last dimension"):
        native.attend(query, torch.ones(5, 2, 16, 40).mT, values, here, here, scale=1.0)
    with pytest.raises(TypeError, match="bfloat16"):
        native.attend(query.bfloat16(), keys, values, here, here, scale=1.0)
    with pytest.raises(ValueError, match="cache"):
        native.store(torch.ones(1, 3, 16), part, keys, values, here, here)
    with pytest.raises(ValueError, match="cache"):
        native.store(part, torch.ones(2, 2, 16), keys, values, here, here)


def test_the_choice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cpu = torch.device("cpu")
    native = implementation("native", folder)
    assert isinstance(choose_attention(cpu, torch.bfloat16, folder), NativeAttention)
    assert choose_attention(cpu, torch.bfloat16, folder).name == native.name
    assert choose_attention(cpu, torch.float16, folder).name == "torch"
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING, logger="rowcast"):
        assert isinstance(choose_attention(cpu, torch.float32, folder), TorchAttention)
    assert "no C compiler found" in caplog.text
