"""Whether a model fits: the memory of weights and KV cache, computed before either is allocated."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rowcast.engine.decoding.row_cache import LayerShape, cache_bytes
from rowcast.engine.loading.free_memory import MEBIBYTE, free_here, mebibytes, prefix_memory
from rowcast.errors import RowcastError

_log = logging.getLogger("rowcast.loading")


class DoesNotFit(RowcastError):
    """Weights and cache need more memory than there is."""


@dataclass(frozen=True, slots=True)
class Cache:
    """What determines the size of a KV cache."""

    shapes: Mapping[int, LayerShape]
    rows: int
    context: int
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Bytes, once every row is full."""
        return cache_bytes(self.shapes, self.rows, self.context, self.dtype)

    def __str__(self) -> str:
        values = sum(shape.values for shape in self.shapes.values())
        return (
            f"KV cache {mebibytes(self.size)} ({self.rows} rows x {self.context} "
            f"positions x {values} values x {self.dtype.itemsize} bytes)"
        )


def check_memory(
    model: str, weights: int, cache: Cache, device: torch.device, prefixes: int | None = 0
) -> None:
    """Refuse a model that does not fit, and show the arithmetic; otherwise log it.

    `prefixes`: the bytes that are set for the store of prefixes.
    """
    stored = prefix_memory(prefixes, cache.size) if device.type == "cpu" else 0
    free, needed = free_memory(device), weights + cache.size + stored
    arithmetic = f"weights {mebibytes(weights)} + {cache}"
    arithmetic += f" + prefixes {mebibytes(stored)}" if stored else ""
    if needed > free:
        names = "CONTEXT_LENGTH or PREFIX_MEMORY," if stored else "CONTEXT_LENGTH"
        raise DoesNotFit(
            f"{model} does not fit: {arithmetic} = {mebibytes(needed)}, but only "
            f"{mebibytes(free)} are free. Set a lower {names} or a smaller DTYPE."
        )
    _log.info("memory %s free=%.0f MiB", arithmetic, free / MEBIBYTE)


def free_memory(device: torch.device) -> int:
    """Return the bytes that may still be allocated."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_here()
