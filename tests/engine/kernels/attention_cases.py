"""Caches, tokens and the plain formula for the tests of attention."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rowcast.engine.kernels.attention import SOURCE, Attention
from rowcast.engine.kernels.attention_native import NativeAttention
from rowcast.engine.kernels.attention_torch import TorchAttention
from rowcast.engine.kernels.build import KernelUnavailable, load_kernel


@dataclass(frozen=True, slots=True)
class Options:
    """The options that an architecture may need."""

    window: int = 0
    softcap: float = 0.0
    sinks: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one attention layer."""

    heads: int
    kv_heads: int
    key_size: int
    value_size: int

    def options(self, context: int) -> dict[str, Options]:
        """Return each option alone, and all together."""
        sinks, bias = torch.randn(self.heads), torch.randn(self.heads, context)
        return {
            "plain": Options(),
            "window": Options(window=100),
            "softcap": Options(softcap=5.0),
            "sinks": Options(sinks=sinks),
            "bias": Options(bias=bias),
            "all": Options(window=37, softcap=5.0, sinks=sinks, bias=bias),
        }


@dataclass(slots=True)
class Caches:
    """Keys and values of some rows; unused places hold NaN or infinity."""

    shape: Shape
    rows: int
    context: int
    dtype: torch.dtype
    keys: Tensor = field(init=False)
    values: Tensor = field(init=False)

    def __post_init__(self) -> None:
        shape, size = self.shape, (self.rows, self.shape.kv_heads, self.context)
        self.keys = torch.full((*size, shape.key_size), torch.nan, dtype=self.dtype)
        self.values = torch.full((*size, shape.value_size), torch.inf, dtype=self.dtype)

    def fill(self, row: int, keys: Tensor, values: Tensor) -> None:
        """Store [tokens, kv heads, size] at the beginning of a row."""
        self.keys[row, :, : len(keys)] = keys.transpose(0, 1)
        self.values[row, :, : len(values)] = values.transpose(0, 1)

    def attend(
        self, attention: Attention, query: Tensor, places: Sequence[tuple[int, int]], how: Options
    ) -> Tensor:
        """Return the attention output of the tokens at (row, position)."""
        row, position = (
            torch.tensor(each, dtype=torch.int32) for each in zip(*places, strict=True)
        )
        return attention.attend(
            query,
            self.keys,
            self.values,
            row,
            position,
            scale=0.2,
            window=how.window,
            softcap=how.softcap,
            sinks=how.sinks,
            bias=how.bias,
        )


def implementation(kind: str, folder: Path) -> Attention:
    """Return `torch`, or the kernel compiled for a machine; skip the test if that is impossible."""
    if kind == "torch":
        return TorchAttention()
    try:
        return NativeAttention(load_kernel(SOURCE, folder, kind))
    except KernelUnavailable as error:
        pytest.skip(str(error))


def formula(
    query: Tensor, caches: Caches, places: Sequence[tuple[int, int]], how: Options
) -> Tensor:
    """Compute attention by the textbook formula, one head of one token at a time, in fp64."""
    share = caches.shape.heads // caches.shape.kv_heads
    output = torch.zeros(*query.shape[:2], caches.shape.value_size, dtype=torch.float64)
    for token, (row, position) in enumerate(places):
        low = max(0, position + 1 - how.window) if how.window else 0
        for head in range(caches.shape.heads if row >= 0 else 0):
            keys = caches.keys[row, head // share, low : position + 1].double()
            values = caches.values[row, head // share, low : position + 1].double()
            scores = 0.2 * (keys @ query[token, head].double())
            if how.softcap:
                scores = how.softcap * torch.tanh(scores / how.softcap)
            if how.bias is not None:
                scores = scores + how.bias[head, low : position + 1].double()
            if how.sinks is not None:
                scores = torch.cat([scores, how.sinks[head : head + 1].double()])
            output[token, head] = scores.softmax(0)[: len(values)] @ values
    return output


def states(count: int, heads: int, size: int, dtype: torch.dtype) -> Tensor:
    """Return random queries, keys or values."""
    return torch.randn(count, heads, size).to(dtype)


def split(places: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Return rows and positions in the form that attention expects."""
    both = torch.tensor(places, dtype=torch.int32).T.contiguous()
    return both[0], both[1]
