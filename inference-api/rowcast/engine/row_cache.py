"""The KV cache: for each layer, keys and values of every row at every position.

    keys[layer]    [rows, kv_heads, context, key size]
    values[layer]  [rows, kv_heads, context, value size]

A step's tokens, of whatever rows, lie flattened in one sequence; `place` says which (row, position)
each has. A layer stores its tokens there and lets each attend to its own row. To transformers it
looks like a Cache whose `update` gives back what it is given: the attention function does the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from rowcast.engine.kernels.attention import Attention


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer keeps of a token."""

    kv_heads: int
    key_size: int
    value_size: int

    @property
    def values(self) -> int:
        return self.kv_heads * (self.key_size + self.value_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How a layer weighs keys: everything that architectures do differently."""

    scale: float
    window: int = 0
    softcap: float = 0.0
    sinks: Tensor | None = None
    bias: Tensor | None = None


def cache_bytes(
    shapes: Mapping[int, LayerShape], rows: int, context: int, dtype: torch.dtype
) -> int:
    """The memory that a cache takes."""
    return sum(shape.values for shape in shapes.values()) * rows * context * dtype.itemsize


class FlatCache(Cache):
    """What transformers' models see: a cache that holds nothing of its own and knows no past."""

    def __init__(self) -> None:
        super().__init__(layers=[])

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        layer_idx: int,  # noqa: ARG002
        *_args: object,
        **_kwargs: object,
    ) -> tuple[Tensor, Tensor]:
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        return 0  # positions are given with the tokens

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: Scores) -> Tensor:
        """Store and attend: [tokens, heads, size] in, the same out."""
        raise NotImplementedError


class ShapeRecorder(FlatCache):
    """Learns what each layer would keep, from a pass over tensors without data."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[int, LayerShape] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, _how: Scores) -> Tensor:
        self.shapes[layer] = LayerShape(key.shape[1], key.shape[2], value.shape[2])
        return query.new_empty(*query.shape[:2], value.shape[2])


class RowCache(FlatCache):
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
    ) -> None:
        super().__init__()
        self._attention = attention

        def empty(shape: LayerShape, size: int) -> Tensor:
            return torch.zeros(rows, shape.kv_heads, context, size, dtype=dtype, device=device)

        self.keys = {at: empty(shape, shape.key_size) for at, shape in shapes.items()}
        self.values = {at: empty(shape, shape.value_size) for at, shape in shapes.items()}
        self._row = self._position = torch.empty(0, dtype=torch.int32, device=device)

    def place(self, row: Tensor, position: Tensor) -> None:
        """Where this step's tokens belong; row -1 is a slot without a token."""
        self._row, self._position = row, position

    def copy(self, source: int, target: int, length: int) -> None:
        """Give a row what another one keeps of its first `length` tokens."""
        for kept in (*self.keys.values(), *self.values.values()):
            kept[target, :, :length] = kept[source, :, :length]

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
