"""Checks and measures the kernels and the engine on a device: `scripts/gpu_check`.

    PARTS    what is run, in this order; `--only` names some of them

Each part says how many seconds it needs at most on a GPU of 2022 or later: a guess, since none was
at hand. One that does not fit into the time that is left is left out. `--tiny` runs everything on
a tiny model, on a CPU under Triton's interpreter: a test of this program, with figures that mean
nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers

from rowcast.engine.kernels.gpu.available import FORKABLE, card, kernels_of
from rowcast.engine.measuring.gpu import correctness, price, purity, speed, workload
from rowcast.engine.measuring.gpu.clock import copy_bandwidth, matrix_peak
from rowcast.engine.measuring.gpu.models import SHAPES
from rowcast.engine.measuring.gpu.report import Check, Report

SECONDS = 350
RESTART_SECONDS = 1500


@dataclass(frozen=True, slots=True)
class Part:
    """What can be chosen by its name."""

    name: str
    needs: float  # seconds
    check: Check


def main(arguments: Sequence[str]) -> int:
    """Run the parts; return 1 if anything is wrong."""
    options = _options(arguments)
    device = torch.device(options.device)
    report = Report(device, options.seconds, options.json)
    report.note("machine", card(device), _versions(device))
    parts = tiny_parts() if options.tiny else gpu_parts()
    for part in parts:
        if not options.only or any(part.name.startswith(each) for each in options.only):
            report.run(part.name, part.needs, part.check)
    report.note("end", f"{report.failed} wrong or failed", "")
    return int(report.failed > 0)


def gpu_parts() -> list[Part]:
    """Return the parts for a GPU, the most useful first."""
    limits = Limits()
    work = speed.Work()
    sizes = ("8b", "1b", "0.4b")
    return [
        Part("correctness, tiny", 25, lambda to: correctness.check(to, "tiny", 70, 128)),
        Part("correctness, 0.4b", 15, lambda to: correctness.check(to, "0.4b", 200, 256)),
        Part("purity, 1b", 25, _purity("1b", 300, trials=6, widths=40)),
        *(Part(f"speed, {name}", 15, limits.steps(name, work)) for name in sizes),
        Part("restart, 1b", 60, lambda to: restart(to, "1b", 512, 60, 5)),
        Part("workload, 1b", 40, _workload("1b", 128, 128, 32)),
        Part("price, 1b", 10, lambda to: price.check(to, "1b", SHAPES["1b"], (1, 32, 1024))),
        Part("price, 8b", 10, lambda to: price.check(to, "8b", SHAPES["8b"], (1, 32, 1024))),
        Part("int8, 8b", 10, limits.int8("8b", 32)),
        Part("purity, 8b", 25, _purity("8b", 300, trials=3, widths=20)),
        Part("workload, 8b", 50, _workload("8b", 128, 128, 32)),
    ]


def tiny_parts() -> list[Part]:
    """Return the same parts at a size that an interpreter can run."""
    name, limits = "smallest", Limits()
    work = speed.Work(rows=2, position=6, prompts=1, prompt=5)
    return [
        Part("correctness", 0, lambda to: correctness.check(to, name, 5, 128)),
        Part("purity", 0, _purity(name, 5, trials=1, widths=2)),
        Part("speed", 0, limits.steps(name, work)),
        Part("restart", 0, lambda to: restart(to, name, 3, 2, 1)),
        Part("workload", 0, _workload(name, 3, 2, 2)),
        Part("price", 0, lambda to: price.check(to, name, SHAPES[name], (2,))),
        Part("int8", 0, limits.int8(name, 2)),
    ]


class Limits:
    """What the device can do at most, measured when it is first needed."""

    def __init__(self) -> None:
        self._device: speed.Device | None = None

    def steps(self, name: str, work: speed.Work) -> Check:
        return lambda report: speed.check(report, name, SHAPES[name], self._of(report), work)

    def int8(self, name: str, tokens: int) -> Check:
        return lambda report: speed.check_int8(report, name, SHAPES[name], self._of(report), tokens)

    def _of(self, report: Report) -> speed.Device:
        if self._device is None:
            copied, peak = copy_bandwidth(report.device), matrix_peak(report.device)
            self._device = speed.Device(copied, peak)
            report.figure("device", "copy, read and written", copied / 1e9, "GB/s")
            report.figure("device", "torch's product of bf16", peak / 1e12, "T operations/s")
        return self._device


def _purity(name: str, prompt: int, *, trials: int, widths: int) -> Check:
    return lambda report: purity.check(
        report, name, SHAPES[name], prompt, trials=trials, widths=widths
    )


def _workload(name: str, prompt: int, reply: int, streams: int) -> Check:
    return lambda report: workload.check(
        report, name, SHAPES[name], prompt=prompt, reply=reply, streams=streams
    )


def restart(report: Report, name: str, prompt: int, reply: int, kills: int) -> None:
    """Kill decoders in a process that has not touched the GPU."""
    module = "rowcast.engine.measuring.gpu.restart"
    numbers = [str(each) for each in (prompt, reply, kills)]
    shown = subprocess.run(  # noqa: S603  # this Python, and numbers
        [sys.executable, "-m", module, str(report.device), name, *numbers],
        env=os.environ | FORKABLE,
        stdout=subprocess.PIPE,
        text=True,
        timeout=RESTART_SECONDS,
        check=True,
    )
    found = json.loads(shown.stdout.splitlines()[-1])
    part = f"restart, {name}"
    report.verdict(
        part,
        "a killed decoder's reply goes on with the same bits",
        right=found["same"],
        note=f"{found['kills']} kills",
    )
    note = f"slowest {found['slowest']:.2f} s; weights made, not read"
    report.figure(part, "from SIGKILL to the next token, p50", found["seconds"], "s", note)


def _versions(device: torch.device) -> str:
    return (
        f"{kernels_of(device).name}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, Python {platform.python_version()}"
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model; for tests")
    parser.add_argument("--only", nargs="*", default=[], help="parts, by the start of their names")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="start no part after these")
    parser.add_argument("--json", type=Path, help="append each result to this file, as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
