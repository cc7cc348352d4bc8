"""No GPU, no Triton: what the CPU's road imports, and what is said where Triton is missing."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rowcast.engine.kernels.gpu.available import TritonMissing, gpu_kernels, kernels_of

SOURCE = Path(__file__).resolve().parents[4] / "inference-api"
MODULES = "rowcast.engine.torch_engine, rowcast.engine.loading.engine_factory"
WITHOUT = f"""
import sys
sys.modules["triton"] = None  # as if it were not installed
import {MODULES}, rowcast.engine.kernels.gpu.available
print([name for name in sys.modules if name.startswith("rowcast.engine.kernels.gpu.")])
"""


def test_a_cpu_has_no_gpu_kernels() -> None:
    assert gpu_kernels(torch.device("cpu")) is None


def test_a_gpu_without_triton_is_refused_with_what_to_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rowcast.engine.kernels.gpu.available.find_spec", lambda _name: None)
    with pytest.raises(TritonMissing, match=r"DEVICE=cuda needs Triton.*DEVICE=cpu"):
        gpu_kernels(torch.device("cuda"))


def test_a_gpu_with_triton_has_kernels_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="Triton is not installed: run make test-kernels")
    named = SimpleNamespace(get_device_name=lambda _device: "NVIDIA H100 PCIe")
    monkeypatch.setattr(torch, "cuda", named)
    found = gpu_kernels(torch.device("cuda"))
    assert found is not None
    assert found.name.startswith("triton-")
    assert found.name.endswith("-NVIDIA-H100-PCIe")
    assert found.attention().name == found.name


def test_kernels_on_a_cpu_are_interpreted() -> None:
    pytest.importorskip("triton", reason="Triton is not installed: run make test-kernels")
    assert kernels_of(torch.device("cpu")).name.endswith("-interpreted")


@pytest.mark.slow
def test_the_road_of_a_cpu_imports_no_triton() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert shown.stdout == "['rowcast.engine.kernels.gpu.available']\n"
