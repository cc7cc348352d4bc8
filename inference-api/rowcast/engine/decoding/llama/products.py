"""The sources of a layer's packed products: the model's own weights, unchanged.

    Basis.products(layer) ──▶ name ──▶ () ──▶ Products, made when their turn comes

`spread_basis` has the other basis, for int8.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from rowcast.engine.decoding.llama.model import OWN, Norm
from rowcast.engine.decoding.llama.shape import Form, LayerForm


@dataclass(frozen=True, slots=True)
class Product:
    """A linear layer's numbers."""

    weight: Tensor  # [outputs, inputs]
    bias: Tensor | None
    columns: Tensor | None = (
        None  # the weight times each of the basis' directions, if it reads them
    )


Make = Callable[[], Sequence[Product]]


class Basis(Protocol):
    """A model's numbers in some choice of coordinates."""

    name: str  # identifies weights that give other bits: change it when a basis changes its results
    mixed: int  # vectors of SwiGLU's results that are mixed with one another; 1: none
    directions: Tensor | None  # [count, hidden]: of states, in which they are always large

    def embedding(self) -> Tensor:
        """Return one row per token."""

    def norm(self, name: str, norm: Norm, /) -> Tensor:
        """Return a norm's weight."""

    def last_weight(self) -> Tensor | None:
        """Return the weight of the last norm if `norm` leaves it to the head."""

    def products(self, layer: LayerForm) -> Mapping[str, Make]:
        """Return the products of a layer, by the names of `llama.model`."""

    def head(self) -> Product:
        """Return the last product."""


class OwnBasis:
    """The model's own numbers, in the dtype of its states."""

    name: str = OWN
    mixed: int = 1
    directions: Tensor | None = None

    def __init__(self, form: Form, dtype: torch.dtype) -> None:
        self._form = form
        self._dtype = dtype

    def embedding(self) -> Tensor:
        return self._form.embedding

    def norm(self, _name: str, norm: Norm, /) -> Tensor:
        return norm.weight

    def last_weight(self) -> None:
        return None

    def products(self, layer: LayerForm) -> Mapping[str, Make]:
        return {name: partial(self._products, of) for name, of in linears(layer).items()}

    def head(self) -> Product:
        return self._product(self._form.head)

    def _products(self, layers: Sequence[nn.Linear]) -> Sequence[Product]:
        return [self._product(each) for each in layers]

    def _product(self, layer: nn.Linear) -> Product:
        own = product_of(layer)
        return Product(own.weight.to(self._dtype), own.bias)


def linears(layer: LayerForm) -> Mapping[str, Sequence[nn.Linear]]:
    """Return the layers, grouped by their common input, in the order of a step."""
    return {"qkv": layer.qkv, "o": [layer.o], "gate_up": layer.gate_up, "down": [layer.down]}


def product_of(layer: nn.Linear) -> Product:
    """Return a layer's numbers unchanged."""
    bias = layer._parameters["bias"]  # noqa: SLF001  # typed as never None
    return Product(layer.weight.detach(), None if bias is None else bias.detach())
