"""The KV cache: for each layer, keys and values of every row at every position.

    keys[layer]    [rows, kv_heads, context, key size]
    values[layer]  [rows, kv_heads, context, value size]

A step's tokens, of any rows, are flattened in one sequence; `place` sets the (row, position) of
each. A layer stores its tokens there and lets each attend to its own row. Knows no models:
`flat_cache` is the view that transformers' models have of it. On a CPU a row takes memory only for
the tokens that it holds (`row_pages`); on other devices, the whole cache is allocated.
"""

import contextlib
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.engine.decoding.row_pages import Pages, grain
from rowcast.engine.kernels.attention import Attention


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer caches per token."""

    kv_heads: int
    key_size: int
    value_size: int

    @property
    def values(self) -> int:
        return self.kv_heads * (self.key_size + self.value_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How a layer weighs keys: everything that differs between architectures."""

    scale: float
    window: int = 0
    softcap: float = 0.0
    sinks: Tensor | None = None
    bias: Tensor | None = None


def token_bytes(shapes: Mapping[int, LayerShape], dtype: torch.dtype) -> int:
    """Return the memory of one token."""
    return sum(shape.values for shape in shapes.values()) * dtype.itemsize


def cache_bytes(
    shapes: Mapping[int, LayerShape], rows: int, context: int, dtype: torch.dtype
) -> int:
    """Return the memory of a cache whose rows are full."""
    return token_bytes(shapes, dtype) * rows * context


def grain_of(shapes: Mapping[int, LayerShape], dtype: torch.dtype) -> int:
    """Return the tokens by which a row's memory grows: those that share a page."""
    sizes = [size for each in shapes.values() for size in (each.key_size, each.value_size)]
    return max((grain(size * dtype.itemsize) for size in sizes), default=1)


class RowCache:
    """The cache of all rows."""

    def __init__(
        self,
        shapes: Mapping[int, LayerShape],
        attention: Attention,
        *,
        rows: int,
        context: int,
        dtype: torch.dtype,
        device: torch.device,
        sparse: bool = False,  # there is less memory than all rows may fill
    ) -> None:
        self._attention = attention
        self.token_bytes = token_bytes(shapes, dtype)
        self._pages: list[Pages] = []

        def empty(shape: LayerShape, size: int) -> Tensor:
            if device.type != "cpu":
                whole = (rows, shape.kv_heads, context, size)
                return torch.zeros(whole, dtype=dtype, device=device)
            self._pages.append(Pages(rows, shape.kv_heads, context, size, dtype, sparse=sparse))
            return self._pages[-1].tensor

        self.keys = {at: empty(shape, shape.key_size) for at, shape in shapes.items()}
        self.values = {at: empty(shape, shape.value_size) for at, shape in shapes.items()}
        self._row = self._position = torch.empty(0, dtype=torch.int32, device=device)

    def place(self, row: Tensor, position: Tensor) -> None:
        """Set where this step's tokens belong; row -1 is a slot without a token."""
        self._row, self._position = row, position

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """Copy the tokens from position `begin` to `end` of one row's cache to another row."""
        for cached in (*self.keys.values(), *self.values.values()):
            cached[target, :, begin:end] = cached[source, :, begin:end]

    def save(self, row: int, count: int) -> mmap.mmap:
        """Return the first tokens of a row's cache: layer by layer, all keys, then all values."""
        memory = self.new_saved(count)
        self.save_part(row, memory, 0, count)
        return memory

    def new_saved(self, count: int) -> mmap.mmap:
        """Return memory for so many tokens."""
        memory = mmap.mmap(
            -1, count * self.token_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        with contextlib.suppress(OSError):  # a kernel without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)  # ten times as fast to fill
        return memory

    def save_part(self, row: int, saved: mmap.mmap | memoryview, begin: int, end: int) -> None:
        """Write some of a row's tokens to their place in what is saved."""
        flat = torch.frombuffer(saved, dtype=torch.uint8)
        for cached, part in self._beside(flat, len(saved) // self.token_bytes):
            part[:, begin:end] = cached[row, :, begin:end]

    def load(self, row: int, saved: mmap.mmap | memoryview, count: int) -> None:
        """Write the first of the tokens that were saved to a row's cache."""
        flat = torch.frombuffer(saved, dtype=torch.uint8)
        for cached, part in self._beside(flat, len(saved) // self.token_bytes):
            cached[row, :, :count] = part[:, :count]

    def _beside(self, flat: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each tensor of the cache, and its part of `count` tokens that are saved."""
        begin = 0
        for cached in (*self.keys.values(), *self.values.values()):
            _, heads, _, size = cached.shape
            end = begin + heads * count * size * cached.itemsize
            yield cached, flat[begin:end].view(cached.dtype).view(heads, count, size)
            begin = end

    def trim(self, row: int, length: int) -> None:
        """Forget what lies beyond the first `length` tokens of a row, and free its memory."""
        for each in self._pages:
            each.trim(row, length)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: Scores) -> Tensor:
        keys, values = self.keys[layer], self.values[layer]
        self._attention.store(key, value, keys, values, self._row, self._position)
        return self._attention.attend(
            query,
            keys,
            values,
            self._row,
            self._position,
            scale=how.scale,
            window=how.window,
            softcap=how.softcap,
            sinks=how.sinks,
            bias=how.bias,
        )
