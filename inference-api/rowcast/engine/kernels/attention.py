"""Attention of a step's tokens, each over its own row of the KV cache.

    store   each token's key and value to (row, :, position)
    attend  token t over keys 0..position[t] of row[t]; row -1 is a slot without a token: zeros

One Protocol, two implementations: plain torch (any device and dtype, the tested reference) and a C
kernel (CPU, fp32 and bf16). The bits of a token's output depend on its query, its row up to its
position and the constants; not on the step's other tokens, their order, the number of threads, the
row or the cache's length. Knows no layers, models or sampling.
"""

import itertools
import logging
import statistics
import sys
import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.attention_native import DTYPES, NativeAttention
from rowcast.engine.kernels.attention_torch import TorchAttention
from rowcast.engine.kernels.build import KernelUnavailable, load_kernel

SOURCE = Path(__file__).with_name("attention_kernel.c")

_log = logging.getLogger(__name__)


class Attention(Protocol):
    """Stores tokens in the cache, and attends to them."""

    @property
    def name(self) -> str:
        """Identifies the arithmetic: equal names give equal bits. Part of the build fingerprint."""

    def attend(
        self,
        query: Tensor,  # [tokens, heads, key size]
        keys: Tensor,  # [rows, kv heads, context, key size]
        values: Tensor,  # [rows, kv heads, context, value size]
        row: Tensor,  # [tokens] int32
        position: Tensor,  # [tokens] int32
        *,
        scale: float,
        window: int = 0,
        softcap: float = 0.0,
        sinks: Tensor | None = None,  # [heads]: one more logit in each softmax, without a value
        bias: Tensor | None = None,  # [heads, context or more] fp32: added to the scores
    ) -> Tensor:
        """Return the weighted values of each token's row: [tokens, heads, value size]."""

    def store(  # noqa: PLR0917  # in the order of `attend`
        self,
        key: Tensor,
        value: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
    ) -> None:
        """Store key and value, [tokens, kv heads, size] each, at the tokens' rows and positions."""


def choose_attention(
    device: torch.device,
    dtype: torch.dtype,
    folder: Path | None = None,
    arithmetic: Arithmetic = AUTO,
) -> Attention:
    """Return the fastest attention here. `folder` replaces the user's cache of kernels."""
    if device.type != "cpu" or dtype not in DTYPES:
        return TorchAttention()
    try:
        return NativeAttention(load_kernel(SOURCE, folder, arithmetic.machine))
    except KernelUnavailable as error:
        _log.warning("attention=torch reason=%r", str(error))
        return TorchAttention()


def _times(
    attention: Attention, dtype: torch.dtype, rows: int, tokens: int, held: int
) -> list[float]:
    """Time calls in milliseconds, on caches larger than the processor's: 14 heads, 2 KV heads."""
    shape = (rows, 2, held, 64)
    layers = max(2, (96 << 20) // (rows * held * 256 * dtype.itemsize))
    caches = [(torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)) for _ in range(layers)]
    query = torch.randn(tokens, 14, 64).to(dtype)
    row = torch.arange(tokens, dtype=torch.int32) % rows
    position = held - tokens // rows + torch.arange(tokens, dtype=torch.int32) // rows
    times = []
    for keys, values in itertools.islice(itertools.cycle(caches), 40 + layers):
        start = time.perf_counter()
        attention.attend(query, keys, values, row, position, scale=0.125)
        times.append((time.perf_counter() - start) * 1e3)
    return times[layers:]


def _floor(dtype: torch.dtype, rows: int, tokens: int, held: int, reads: float) -> float:
    """Return the minimum in milliseconds for reading the cache, or multiplying at peak speed."""
    bytes_read = rows * held * 256 * dtype.itemsize
    pairs = rows * (tokens // rows) * (held - tokens // rows / 2)
    peak = 445e9 if dtype is torch.bfloat16 else 223e9
    return max(bytes_read / reads, pairs * 14 * 64 * 4 / peak) * 1e3


def _print_table(reads: float) -> None:
    """Print the time of a call and its floor, for memory that reads `reads` bytes per second."""
    attention = choose_attention(torch.device("cpu"), torch.bfloat16)
    sys.stdout.write(f"{attention.name}, {torch.get_num_threads()} threads\n")
    sys.stdout.write("| dtype | rows | tokens | held | median ms | best tenth | floor | ratios |\n")
    sys.stdout.write("|---" * 8 + "|\n")
    shapes = ((32, 32, 128), (32, 32, 512), (32, 32, 2048), (1, 1, 2048), (1, 256, 2048))
    for dtype, shape in itertools.product((torch.bfloat16, torch.float32), shapes):
        times, floor = _times(attention, dtype, *shape), _floor(dtype, *shape, reads)
        best, *_, median = statistics.quantiles(times, n=10)[:5]
        figures = (
            f"{median:.3f} | {best:.3f} | {floor:.3f} | {median / floor:.2f}, {best / floor:.2f}"
        )
        sys.stdout.write(f"| {str(dtype)[6:]} | {' | '.join(map(str, shape))} | {figures} |\n")


if __name__ == "__main__":
    _print_table(float(sys.argv[1]) * 1e9 if sys.argv[1:] else 36e9)
