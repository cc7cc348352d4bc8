"""Attention by the C kernel: checks shapes, packs addresses and strides, calls.

The kernel runs on torch's own threads, or on those of another kernel, and without the GIL. One
packed argument keeps the overhead of a call at a few microseconds; its layout is that of the
structs in c/attention/call.h.
"""

import ctypes
import struct
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from rowcast.engine.kernels.build import Kernel
from rowcast.engine.kernels.threads import Threads

DTYPES = (torch.float32, torch.bfloat16)

_STORE = struct.Struct("23q")
_ATTEND = struct.Struct("30q2d")
_ADDRESS = struct.Struct("q")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBuffers:
    """One layer of a plan: its inputs and output, [most tokens, heads, size] each; its cache."""

    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    keys: Tensor
    values: Tensor
    row: Tensor
    position: Tensor
    scale: float
    window: int


class NativeAttention:
    """The `Attention` Protocol by a loaded kernel, for fp32 and bf16 on the CPU."""

    def __init__(self, kernel: Kernel) -> None:
        library = kernel.library
        library.rowcast_isa.restype = ctypes.c_char_p
        self._attend = library.rowcast_attend
        self._store = library.rowcast_store
        self._attend.argtypes = self._store.argtypes = [ctypes.c_char_p]
        self._region = _parallel_region()
        self._lent: Threads | None = None
        self.planned = _address(library.rowcast_store_and_attend)  # for other kernels' plans
        self.name = f"c-{library.rowcast_isa().decode()}-{kernel.key[:8]}"

    def borrow(self, threads: Threads | None) -> None:
        """Run on another kernel's threads, to avoid contention with torch's; None: on torch's."""
        self._lent = threads

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
        *,
        scale: float,
        window: int = 0,
        softcap: float = 0.0,
        sinks: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        query = _side_by_side(query)
        tokens, heads, size = query.shape
        token_step, head_step, _ = query.stride()
        _, kv_heads, context, key_size = keys.shape
        if size != key_size or heads % kv_heads:
            raise ValueError(f"queries {[*query.shape]} do not fit keys {[*keys.shape]}")
        sinks = None if sinks is None else _constant(sinks, heads)
        bias = None if bias is None else _constant(bias, heads, context)
        output = torch.empty((tokens, heads, values.shape[3]), dtype=query.dtype)
        packed = _ATTEND.pack(
            *_caches(keys, values, query.dtype),
            *_places(row, position, tokens),
            query.data_ptr(),
            output.data_ptr(),
            heads,
            token_step,
            head_step,
            0 if sinks is None else sinks.data_ptr(),
            0 if bias is None else bias.data_ptr(),
            0 if bias is None else bias.stride(0),
            window,
            *self._threads(),
            scale,
            softcap,
        )
        if fault := self._attend(packed):
            refuse(fault)
        return output

    def _threads(self) -> tuple[int, int, int, int]:
        if self._lent is None:
            return torch.get_num_threads(), self._region, 0, 0
        return self._lent.count, 0, self._lent.share, self._lent.pool

    def store(  # noqa: PLR0917  # in the order of `attend`
        self,
        key: Tensor,
        value: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
    ) -> None:
        key, value = _side_by_side(key), _side_by_side(value)
        tokens, kv_heads, key_size = key.shape
        _, cache_heads, _, cache_size = keys.shape
        if (kv_heads, key_size) != (cache_heads, cache_size) or value.dtype is not key.dtype:
            raise ValueError(f"keys {[*key.shape]} do not fit the cache {[*keys.shape]}")
        if value.shape != (tokens, kv_heads, values.shape[3]):
            raise ValueError(f"values {[*value.shape]} do not fit the cache {[*values.shape]}")
        packed = _STORE.pack(
            *_caches(keys, values, key.dtype),
            *_places(row, position, tokens),
            key.data_ptr(),
            value.data_ptr(),
            *key.stride()[:2],
            *value.stride()[:2],
        )
        if fault := self._store(packed):
            refuse(fault)

    def plan(
        self, layer: LayerBuffers, threads: Threads, fault: ctypes.c_int64
    ) -> "ctypes.Array[ctypes.c_char]":
        """Return the argument of `planned` for a layer: store, then attend, over its buffers."""
        dtype, heads = layer.query.dtype, layer.query.shape[1]
        places = _places(layer.row, layer.position, len(layer.row))
        caches = _caches(layer.keys, layer.values, dtype)
        stored = _STORE.pack(
            *caches,
            *places,
            layer.key.data_ptr(),
            layer.value.data_ptr(),
            *layer.key.stride()[:2],
            *layer.value.stride()[:2],
        )
        attended = _ATTEND.pack(
            *caches,
            *places,
            layer.query.data_ptr(),
            layer.out.data_ptr(),
            heads,
            *layer.query.stride()[:2],
            0,
            0,
            0,
            layer.window,
            threads.count,
            0,
            threads.share,
            threads.pool,
            layer.scale,
            0.0,
        )
        return ctypes.create_string_buffer(
            stored + attended + _ADDRESS.pack(ctypes.addressof(fault))
        )


def _parallel_region() -> int:
    """Return the address that opens torch's OpenMP threads; a second pool would contend with it."""
    region = getattr(ctypes.CDLL(None), "GOMP_parallel", None)
    return _address(region) if region else 0


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _caches(keys: Tensor, values: Tensor, dtype: torch.dtype) -> tuple[int, ...]:
    """Return the caches, as both calls begin."""
    rows, heads, context, key_size = keys.shape
    value_rows, value_heads, value_context, value_size = values.shape
    key_row, key_head, key_at, key_step = keys.stride()
    value_row, value_head, value_at, value_step = values.stride()
    if rows != value_rows or heads != value_heads or context != value_context:
        raise ValueError(f"keys {[*keys.shape]} and values {[*values.shape]} do not match")
    if key_step != 1 or value_step != 1:
        raise ValueError("cached keys and values must be contiguous in their last dimension")
    if not (dtype is keys.dtype is values.dtype) or dtype not in DTYPES:
        raise TypeError(f"{dtype} tokens do not fit {keys.dtype} keys and {values.dtype} values")
    return (
        keys.data_ptr(),
        values.data_ptr(),
        rows,
        heads,
        context,
        key_size,
        key_row,
        key_head,
        key_at,
        value_size,
        value_row,
        value_head,
        value_at,
        dtype is torch.bfloat16,
    )


def _places(row: Tensor, position: Tensor, tokens: int) -> tuple[int, int, int]:
    for each in (row, position):
        if each.dtype is not torch.int32 or each.numel() != tokens or not each.is_contiguous():
            raise ValueError(f"rows and positions must be {tokens} contiguous int32 numbers")
    return tokens, row.data_ptr(), position.data_ptr()


def _side_by_side(states: Tensor) -> Tensor:
    return states if states.stride(-1) == 1 else states.contiguous()


def _constant(numbers: Tensor, *least: int) -> Tensor:
    """Return fp32 numbers that the kernel can read, with at least these sizes."""
    if numbers.dim() != len(least) or any(a < b for a, b in zip(numbers.shape, least, strict=True)):
        raise ValueError(f"a constant {[*numbers.shape]} must be at least {[*least]}")
    return _side_by_side(numbers.float())


def refuse(fault: int) -> NoReturn:
    """Raise the exception for a fault of the kernel."""
    if fault == 1:
        raise ValueError("a row or position lies outside the cache")
    raise MemoryError("not enough memory for attention")
