"""The row cache as transformers' models see it: a Cache that holds nothing and knows no past.

`update` returns its arguments; the attention function (`module_attention.row_attention`) calls
`attend`, which stores and attends in a `RowCache`, or only records what a layer would keep.
"""

from torch import Tensor
from transformers.cache_utils import Cache

from rowcast.engine.decoding.row_cache import LayerShape, RowCache, Scores


class FlatCache(Cache):
    """The cache as transformers' models see it: it holds nothing of its own and knows no past."""

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
    """Records what each layer would keep, from a pass over tensors without data."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[int, LayerShape] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, _how: Scores) -> Tensor:
        self.shapes[layer] = LayerShape(key.shape[1], key.shape[2], value.shape[2])
        return query.new_empty(*query.shape[:2], value.shape[2])


class BoundCache(FlatCache):
    """The row cache, for a model to use."""

    def __init__(self, cache: RowCache) -> None:
        super().__init__()
        self._cache = cache

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: Scores) -> Tensor:
        return self._cache.attend(layer, query, key, value, how)
