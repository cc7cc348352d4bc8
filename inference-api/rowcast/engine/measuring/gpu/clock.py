"""Times of work on a device, and what the device can do at most.

seconds(work, device)      the median of several runs
copy_bandwidth(device)     bytes read and written per second
matrix_peak(device)        operations per second of torch's own product in bf16
"""

import statistics
import time
from collections.abc import Callable

import torch

from rowcast.engine.measuring.gpu.driving import synchronise

LEAST, MOST, SECONDS = 5, 200, 0.4  # runs per figure, and their time


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the median time of a run, after one that does not count; on a CPU, of one run."""
    work()
    times: list[float] = []
    least = LEAST if device.type == "cuda" else 1
    while len(times) < least or (sum(times) < SECONDS and len(times) < MOST):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def copy_bandwidth(device: torch.device) -> float:
    """Return the bytes per second of a copy, read and written."""
    size = (1 << 30) if device.type == "cuda" else 1 << 24
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds(lambda: target.copy_(source), device)


def matrix_peak(device: torch.device) -> float:
    """Return the operations per second of a large product."""
    size = 8192 if device.type == "cuda" else 256
    left = torch.randn(size, size, device=device).bfloat16()
    right = torch.randn(size, size, device=device).bfloat16()
    return 2 * size**3 / seconds(lambda: left @ right, device)
