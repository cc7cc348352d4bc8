"""Whether a model fits: the memory of weights and KV cache, computed before either is allocated.

    KV_MEMORY set     the cache may take that much; a context that exceeds it is shortened
    0                 every row may be full, if that fits
                      on a CPU, else: SHARE of what is free besides the weights and the store of
                      prefixes, at least one row

On a CPU a row takes memory only for the tokens that it holds, so rows x context may exceed the
memory: the backend seats what fits. On a GPU the whole cache is allocated, within the share
GPU_MEMORY of what is free; a context that CONTEXT_LENGTH does not set is as long as that allows.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from rowcast.engine.decoding.row_cache import LayerShape, cache_bytes, token_bytes
from rowcast.engine.engine import CacheMemory
from rowcast.engine.loading.free_memory import MEBIBYTE, free_here, mebibytes, prefix_memory
from rowcast.engine.torch_engine import whole_memory
from rowcast.errors import RowcastError

_log = logging.getLogger("rowcast.loading")

SHARE = 0.8  # of what is free, for a cache whose rows cannot all be full
CONTEXTS = 256  # what a context is a multiple of, where a GPU's memory decides


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

    @property
    def memory(self) -> CacheMemory:
        """The memory with which every row may be full."""
        return whole_memory(self.shapes, self.rows, self.context, self.dtype)

    def __str__(self) -> str:
        values = sum(shape.values for shape in self.shapes.values())
        return (
            f"KV cache {mebibytes(self.size)} ({self.rows} rows x {self.context} "
            f"positions x {values} values x {self.dtype.itemsize} bytes)"
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """How much of a cache fits: the context of a row, and the memory of all rows."""

    context: int
    memory: CacheMemory


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """How much of a GPU's memory may be used."""

    share: float = 1.0  # of what is free: GPU_MEMORY
    fixed: bool = True  # the context is CONTEXT_LENGTH, and is not shortened

    def of(self, free: int) -> str:
        """Return what may be used, as messages show it."""
        if self.share == 1:
            return f"{mebibytes(free)} are free"
        part = mebibytes(int(self.share * free))
        return f"{part} may be used (GPU_MEMORY {self.share:g} of {mebibytes(free)} that are free)"


def fit(
    model: str,
    weights: int,
    cache: Cache,
    device: torch.device,
    *,
    wanted: int = 0,
    prefixes: int | None = 0,
    gpu: GpuMemory | None = None,
) -> Fit:
    """Return what fits, and log it; refuse a model that does not fit, with the arithmetic.

    `wanted` and `prefixes`: KV_MEMORY and PREFIX_MEMORY.
    """
    free = free_memory(device)
    if device.type != "cpu":
        return _fit_on_gpu(model, weights, cache, free, wanted=wanted, gpu=gpu or GpuMemory())
    most = min(wanted or cache.size, cache.size)
    stored = prefix_memory(prefixes, most)
    others = weights + stored
    size = most if wanted else _own_size(others, cache, free)
    if others + size > free:
        raise DoesNotFit(_refusal(model, weights, cache, (size, stored), free))
    fitted = _fitted(cache, size)
    _log.info(
        "memory weights %s + %s, of which rows may hold %d tokens (%s) together + prefixes %s "
        "free=%.0f MiB",
        mebibytes(weights),
        cache,
        fitted.memory.tokens,
        mebibytes(size),
        mebibytes(stored),
        free / MEBIBYTE,
    )
    return fitted


def _fit_on_gpu(
    model: str, weights: int, cache: Cache, free: int, *, wanted: int, gpu: GpuMemory
) -> Fit:
    """Return a cache that is allocated whole, with the longest context that fits."""
    if 0 < wanted < cache.size:
        raise DoesNotFit(
            f"KV_MEMORY is {mebibytes(wanted)}, but this device allocates the whole {cache}: set a "
            "lower CONTEXT_LENGTH instead"
        )
    usable = int(gpu.share * free)
    fitted = cache
    if weights + cache.size > usable and not gpu.fixed:
        each = cache.rows * token_bytes(cache.shapes, cache.dtype)
        context = (usable - weights) // each // CONTEXTS * CONTEXTS
        fitted = replace(cache, context=min(cache.context, max(CONTEXTS, context)))
    if weights + fitted.size > usable:
        raise DoesNotFit(
            f"{model} does not fit: weights {mebibytes(weights)} + {fitted} = "
            f"{mebibytes(weights + fitted.size)}, but only {gpu.of(free)}. Set a lower "
            "CONTEXT_LENGTH, a higher GPU_MEMORY, or a smaller DTYPE."
        )
    _log.info("memory weights %s + %s of %s", mebibytes(weights), fitted, gpu.of(free))
    shortens = fitted.context < cache.context
    return Fit(fitted.context, replace(fitted.memory, shortens=shortens))


def _own_size(others: int, cache: Cache, free: int) -> int:
    """Return the bytes of the cache, besides others, if KV_MEMORY does not set them."""
    if others + cache.size <= free:
        return cache.size
    row = cache.memory.up(cache.context) * cache.memory.token_bytes
    return max(row, int(SHARE * (free - others)))


def _fitted(cache: Cache, size: int) -> Fit:
    whole = cache.memory
    if size >= cache.size:
        return Fit(cache.context, whole)
    tokens = size // whole.token_bytes // whole.grain * whole.grain
    if not tokens:
        raise DoesNotFit(
            f"KV_MEMORY is {size} bytes, and {whole.grain} tokens, the least that a row takes, "
            f"need {whole.grain * whole.token_bytes}: raise it"
        )
    context = min(cache.context, tokens)
    return Fit(context, replace(whole, tokens=tokens, shortens=context < cache.context))


def _refusal(model: str, weights: int, cache: Cache, least: tuple[int, int], free: int) -> str:
    size, stored = least  # bytes of the cache and of the store of prefixes
    part = "" if size == cache.size else f", of which {mebibytes(size)} are the least that serves"
    prefixes = f" + prefixes {mebibytes(stored)}" if stored else ""
    names = (
        "CONTEXT_LENGTH, KV_MEMORY or PREFIX_MEMORY" if stored else "CONTEXT_LENGTH or KV_MEMORY"
    )
    return (
        f"{model} does not fit: weights {mebibytes(weights)} + {cache}{part}{prefixes} = "
        f"{mebibytes(weights + size + stored)}, but only {mebibytes(free)} are free. Set a lower "
        f"{names}, or a smaller DTYPE."
    )


def free_memory(device: torch.device) -> int:
    """Return the bytes that may still be allocated."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_here()
