"""A model of the Llama form for the Llama decoder: packed weights, tables and plain numbers.

    LlamaShape   the plain numbers
    parts        name ──▶ Packed or Tensor: embedding, cos, sin, norm, head, 0.qkv, 0.o, …
    LlamaModel   both

A model is made from a transformers model (`packed_parts`) or from an image, when a backend is
loaded. Knows neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from rowcast.engine.kernels.packed_weight import Kind, Packed

Part = Packed | Tensor
MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")  # types that may have the form
OWN = "own"  # the basis of the model's own numbers
LAST = "last"  # among the names of norms: the one before the head
CLASSIFIER = "classifier"  # the weight of a classifier's head, in the model's own numbers
LAST_WEIGHT = "last_weight"  # that norm's own weight, in a basis that leaves it to the head


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """One layer's plain numbers. A norm exists if it has an epsilon."""

    index: int  # in the cache
    rotates: bool
    window: int  # 0: none
    scale: float
    epsilons: Mapping[str, float]  # of before_attention, before_mlp and, if any, of_query, of_key


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    """A whole model's plain numbers."""

    heads: int
    kv_heads: int
    head_size: int
    epsilon: float  # of the last norm
    basis: str  # the name of the coordinates that its numbers are in
    mixed: int  # vectors of SwiGLU's results that are mixed with one another; 1: none
    layers: Sequence[LayerShape]


@dataclass(frozen=True, slots=True)
class Norm:
    """A root-mean-square norm."""

    weight: Tensor
    epsilon: float


class LlamaModel:
    """A model's parts, by name."""

    def __init__(self, shape: LlamaShape, parts: Mapping[str, Part]) -> None:
        self.shape = shape
        self._parts = parts

    def tensor(self, name: str) -> Tensor:
        part = self._parts[name]
        if not isinstance(part, Tensor):
            raise TypeError(f"{name} is packed")
        return part

    def has(self, name: str) -> bool:
        """True if there is a part of this name."""
        return name in self._parts

    def packed(self, name: str) -> Packed:
        part = self._parts[name]
        if not isinstance(part, Packed):
            raise TypeError(f"{name} is not packed")
        return part

    def norm(self, layer: LayerShape, name: str) -> Norm | None:
        """Return the layer's norm of that name, or None."""
        if name not in layer.epsilons:
            return None
        return Norm(self.tensor(f"{layer.index}.{name}"), layer.epsilons[name])

    @property
    def kinds(self) -> Sequence[Kind]:
        """The kinds of its packed weights, for the build's name."""
        return sorted({part.kind for part in self._parts.values() if isinstance(part, Packed)})
