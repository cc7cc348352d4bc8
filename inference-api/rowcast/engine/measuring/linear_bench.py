"""Prints the speed of each arithmetic that this machine has, next to torch with packed weights.

Layers of one shape run one after another, enough of them that their weights come from memory, or
with `--warm` one again and again. Kernel and torch take turns, with a pause in which the other's
threads stop spinning; figures are medians. CPU time is shown too, as if all threads had run freely:
on a busy machine the clock says little.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.engine.kernels.arithmetic import (
    ARITHMETICS,
    ArithmeticUnavailable,
    arithmetics_here,
    choose_arithmetic,
)
from rowcast.engine.kernels.linear import PACKED_FOR, onednn_packs
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind

OUTPUTS, INPUTS, LAYERS = 4864, 896, 24
TOKENS = (1, 4, 8, 16, 32, 64, 128, 256)
SLOW = ("plain", "amx-emulated")
THREADS = 2
TURNS, ROUNDS, PAUSE = 3, 7, 0.05
DTYPE: dict[Kind, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "int8": torch.bfloat16,
}

Run = Callable[[Tensor], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """The times of one layer."""

    clock: float
    processor: float

    def text(self, tokens: int, bytes_read: int) -> str:
        """Return arithmetic and read speed by the clock, and arithmetic speed by CPU time."""
        work = 2 * tokens * OUTPUTS * INPUTS / 1e9
        return (
            f"{self.clock * 1e6:8.0f} {work / self.clock:7.0f} {bytes_read / self.clock / 1e9:6.1f}"
            f" {work / self.processor * THREADS:7.0f}"
        )


def print_table(name: str = "auto", *, warm: bool = False) -> None:
    """Print all kinds and all widths in one arithmetic."""
    torch.set_num_threads(THREADS)
    try:
        kernel = choose_linear(THREADS, arithmetic=choose_arithmetic(name))
    except ArithmeticUnavailable as error:
        print(error)
        return
    if kernel is None:
        print("the kernel does not run here: torch computes the linear layers")
        return
    with kernel, torch.inference_mode():
        names = ", ".join(kernel.name_of(kind) for kind in DTYPE)
        weights = "1 weight" if warm else f"{LAYERS} weights"
        print(f"{name}: {names}: [tokens, {INPUTS}] x [{INPUTS}, {OUTPUTS}], {weights}")
        print(f"{'':12}|{'kernel':^33}|{'torch, weights packed':^33}")
        print(
            f"{'kind tokens':12}|{'us   GF/s   GB/s cpuGF/s':>33}|{'us   GF/s   GB/s cpuGF/s':>33}"
        )
        for kind in DTYPE:
            _print_kind(kernel, kind, 1 if warm else LAYERS)


def _print_kind(kernel: LinearKernel, kind: Kind, count: int) -> None:
    weights = [torch.randn(OUTPUTS, INPUTS).to(DTYPE[kind]) / 30 for _ in range(count)]
    packed = [kernel.pack([weight], kind) for weight in weights]
    reorder = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001  # torch has no public name
    is_packed = kind != "int8" and onednn_packs(DTYPE[kind])
    others = [reorder(weight, PACKED_FOR) for weight in weights] if is_packed else []
    size = packed[0].size
    del weights

    def ours(states: Tensor) -> None:
        for each in packed * (LAYERS // count):
            kernel.linear(states, each)

    def theirs(states: Tensor) -> None:
        for each in others * (LAYERS // count):
            torch.ops.mkldnn._linear_pointwise(states, each, None, "none", [], "")  # noqa: SLF001

    for tokens in TOKENS:
        states = torch.randn(tokens, INPUTS).to(DTYPE[kind])
        found = _measure(states, [ours, theirs] if others else [ours])
        columns = " |".join(f"{figure.text(tokens, size):>32}" for figure in found)
        print(f"{kind:5}{tokens:6} |{columns}", flush=True)


def _timed(run: Run, states: Tensor) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    run(states)
    return time.perf_counter() - clock, time.process_time() - processor


def _measure(states: Tensor, runs: list[Run]) -> list[Figure]:
    taken: list[list[tuple[float, float]]] = [[] for _ in runs]
    for _ in range(TURNS):
        for run, times in zip(runs, taken, strict=True):
            time.sleep(PAUSE)
            run(states)
            times.extend(_timed(run, states) for _ in range(ROUNDS))
    return [
        Figure(*(statistics.median(column) / LAYERS for column in zip(*times, strict=True)))
        for times in taken
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each arithmetic that is named; without names, for each fast one."""
    reader = argparse.ArgumentParser(prog="linear_bench", description="Measure linear layers.")
    reader.add_argument("arithmetic", nargs="*", help=f"of {', '.join(ARITHMETICS)}")
    reader.add_argument("--warm", action="store_true", help="one weight, which stays in cache")
    options = reader.parse_args(arguments)
    names = options.arithmetic or [name for name in arithmetics_here() if name not in SLOW]
    for name in names:
        print_table(name, warm=options.warm)


if __name__ == "__main__":
    main()
