"""`scripts/gpu_check` runs to its end on a CPU, with a tiny model, and finds nothing wrong.

Covers `gpu/__main__`, `gpu/clock`, `gpu/correctness`, `gpu/driving`, `gpu/models`, `gpu/price`,
`gpu/purity`, `gpu/restart`, `gpu/speed`, `gpu/workload`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.kernels.gpu.device import GPU
from processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the interpreter is slow
PARTS = ("correctness", "purity", "speed", "restart", "workload", "price", "int8")
EXACT = 3  # bits, prefixes and tokens: verdicts of a part that no rounding excuses


@pytest.mark.skipif(GPU, reason="run scripts/gpu_check itself")
def test_it_finds_nothing_wrong(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = ["--device", "cpu", "--tiny", "--seconds", "1700", "--json", str(file)]
    shown = subprocess.run(
        [sys.executable, ROOT / "scripts" / "gpu_check", *options],
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for part in PARTS:
        of_part = [each for each in found if each["part"].startswith(part)]
        assert of_part, part
        assert all("value" in each or each.get("right") for each in of_part), of_part
    assert sum(each.get("right", False) for each in found) >= EXACT
