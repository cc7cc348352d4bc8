"""ARITHMETIC: what a machine lacks is refused with a list, and tiles that fail leave vectors.

Covers `kernels/tiles`.
"""

import ctypes
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import pytest
import torch

from engine.tiny_models import save
from rowcast.engine.kernels.arithmetic import (
    ARITHMETICS,
    AUTO,
    ArithmeticUnavailable,
    arithmetics_here,
    choose_arithmetic,
)
from rowcast.engine.kernels.attention import choose_attention
from rowcast.engine.kernels.build import COMPILERS, Kernel, load_kernel, machine_macros
from rowcast.engine.kernels.linear_kernel import SOURCE, LinearKernel, choose_linear
from rowcast.engine.kernels.tiles import report_refused, tiles_of
from rowcast.engine.loading.engine_factory import prepare
from rowcast.engine.torch_engine import TorchEngine
from rowcast.settings import ArithmeticName, read_settings

CPU = torch.device("cpu")
COMPILER = next(filter(None, map(shutil.which, COMPILERS)), None)
REASONS = range(1, 7)  # of the C file


class Library:
    """What a compiled kernel reports about its tiles."""

    def __init__(self, reason: int, *, built: bool = True) -> None:
        self.rowcast_amx_here, self.rowcast_has_amx = (lambda: reason), (lambda: built)


def kernel_of(reason: int, *, built: bool = True) -> Kernel:
    return Kernel(cast("ctypes.CDLL", Library(reason, built=built)), "key")


def test_every_name_of_the_setting_is_known() -> None:
    assert set(ARITHMETICS) == set(get_args(ArithmeticName))


def test_what_is_listed_can_be_chosen() -> None:
    here = arithmetics_here()
    assert {"auto", "plain", "amx-emulated"} <= set(here)
    for name in ARITHMETICS:
        if name in here:
            assert choose_arithmetic(name) is ARITHMETICS[name]
        else:
            with pytest.raises(ArithmeticUnavailable, match=f"ARITHMETIC={name} .* auto, "):
                choose_arithmetic(name)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other flags")
@pytest.mark.parametrize("name", ARITHMETICS)
def test_an_arithmetic_needs_what_its_flags_switch_on(name: str) -> None:
    arithmetic = ARITHMETICS[name]
    flags = f"-march={arithmetic.machine} -dM -E -x c {os.devnull}".split()
    assert COMPILER is not None
    done = subprocess.run(
        [COMPILER, *flags], check=True, capture_output=True, text=True, timeout=60
    )
    assert arithmetic.needs <= {line.split()[1] for line in done.stdout.splitlines()}


def test_what_a_processor_has_is_what_the_compiler_finds() -> None:
    cpus = Path("/proc/cpuinfo")
    if os.uname().machine != "x86_64" or not cpus.exists():
        pytest.skip("no list of the processor's instructions")
    has = set(cpus.read_text().split())
    assert ("__AVX2__" in machine_macros()) == ("avx2" in has)
    assert ("avx512" in arithmetics_here()) == ({"avx512_bf16", "avx512_vnni"} <= has)


def test_without_a_compiler_a_choice_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_arithmetic("auto") is AUTO
    with pytest.raises(ArithmeticUnavailable, match="C compiler"):
        choose_arithmetic("avx512")
    with pytest.raises(ArithmeticUnavailable, match="no C compiler found"):
        choose_linear(1, tmp_path, arithmetic=ARITHMETICS["plain"])


@pytest.mark.parametrize("reason", REASONS)
def test_tiles_that_are_refused_leave_vectors(
    reason: int, caplog: pytest.LogCaptureFixture
) -> None:
    """They are reported once in a process, however many kernels are chosen."""
    report_refused.cache_clear()
    with caplog.at_level(logging.INFO):
        assert tiles_of(kernel_of(reason), AUTO) == "none"
        assert tiles_of(kernel_of(reason), AUTO) == "none"
    (record,) = caplog.records
    assert record.getMessage().startswith("tiles=none reason=")


def test_tiles_that_work_are_used(caplog: pytest.LogCaptureFixture) -> None:
    assert tiles_of(kernel_of(0), AUTO) == "hardware"
    assert tiles_of(kernel_of(0), ARITHMETICS["amx"]) == "hardware"
    assert tiles_of(kernel_of(0), ARITHMETICS["avx512"]) == "none"
    assert not caplog.records


def test_a_machine_without_tiles_has_nothing_to_say(caplog: pytest.LogCaptureFixture) -> None:
    assert tiles_of(kernel_of(1, built=False), AUTO) == "none"
    assert not caplog.records


@pytest.mark.parametrize("reason", REASONS)
def test_tiles_that_were_chosen_are_not_replaced(reason: int) -> None:
    with pytest.raises(
        ArithmeticUnavailable, match=r"ARITHMETIC=amx is not available here, (a|the) "
    ):
        tiles_of(kernel_of(reason), ARITHMETICS["amx"])


def test_this_machine_has_the_tiles_that_it_reports() -> None:
    kernel = load_kernel(SOURCE)
    expected = "none" if kernel.library.rowcast_amx_here() else "hardware"
    with LinearKernel(kernel, 1, tiles_of(kernel, AUTO)) as linear:
        assert ("amx" in linear.name_of("bf16")) == (expected == "hardware")


@pytest.mark.parametrize("name", ["plain", "amx-emulated"])
def test_a_choice_is_accepted_even_if_it_is_slow(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = choose_linear(1, arithmetic=ARITHMETICS[name])
    assert kernel is not None
    with kernel:
        assert ("amx" in kernel.name_of("bf16")) == (name == "amx-emulated")
    assert "slow" in caplog.text


@pytest.mark.slow
def test_vectors_of_256_bits_can_be_chosen() -> None:
    if "avx2" not in arithmetics_here():
        pytest.skip("no AVX2")
    kernel = choose_linear(1, arithmetic=choose_arithmetic("avx2"))
    assert kernel is not None
    with kernel:
        assert kernel.name_of("bf16").startswith("c-avx2-")


@pytest.mark.slow
def test_attention_is_compiled_for_the_same_machine() -> None:
    names = [
        choose_attention(CPU, torch.bfloat16, arithmetic=ARITHMETICS[name]).name
        for name in ("auto", "amx-emulated", "plain")
    ]
    assert names[0] == names[1]
    assert (names[0] == names[2]) == (os.uname().machine != "x86_64")


@pytest.mark.slow
def test_the_setting_reaches_the_engine(tmp_path: Path) -> None:
    """On an emulated unit, too, the probe finds every width to agree."""
    made = engines(tmp_path, ("plain", "amx-emulated"))
    names, fingerprints = zip(*map(facts_of, made), strict=True)
    assert "c-plain-" in names[0]
    assert "c-amx-" in names[1]
    assert fingerprints[0] != fingerprints[1]


def test_a_server_with_what_the_machine_lacks_does_not_start(tmp_path: Path) -> None:
    if "amx" in arithmetics_here():
        pytest.skip("this machine has it")
    with pytest.raises(ArithmeticUnavailable, match=r"set one of auto, .*plain, amx-emulated"):
        engines(tmp_path, ["amx"])


def engines(folder: Path, names: Sequence[str]) -> list[TorchEngine]:
    model = str(save("llama", folder))
    return [
        prepare(read_settings(model=model, dtype="bfloat16", device="cpu", arithmetic=name))()
        for name in names
    ]


def facts_of(engine: TorchEngine) -> tuple[str, str]:
    engine.compile()
    assert engine.widths.safe == tuple(range(engine.width + 1))
    return engine.decoder.name, engine.fingerprint
