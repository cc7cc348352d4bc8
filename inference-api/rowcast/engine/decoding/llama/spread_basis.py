"""A model of the Llama form in a basis without outliers: the same function, better rounded to int8.

    residual stream   every state times one fixed orthogonal matrix; norms' weights go into the
                      products that read them, so that norms only divide by the length; the few
                      channels that are large in every token are `directions`, multiplied in fp32
    values            v and o scaled alike channel by channel, then each head turned
    gated             up and down scaled alike channel by channel, then mixed: by SwiGLU as it
                      computes (`mixed`), undone in down's weights

One large channel of a token uses up the 255 steps of its scale; spread over all channels, it leaves
them to all. The same holds for a weight's row. Nothing is calibrated: matrices follow rounding.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from rowcast.engine.decoding.llama.model import LAST, Norm
from rowcast.engine.decoding.llama.orthogonal import Turn, mix
from rowcast.engine.decoding.llama.products import Make, Product, product_of
from rowcast.engine.decoding.llama.shape import Form, LayerForm
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.packed_weight import LANES, MOST_MIXED

MOST_LARGE = 4  # channels
LARGE, ORDINARY = 1.8, 0.95  # LARGE times what the channel at this quantile receives
TURNED_NORMS = ("before_attention", "before_mlp", LAST)


class SpreadBasis:
    """The model's numbers, turned."""

    name: str = "spread-1"

    def __init__(self, form: Form, kernel: LinearKernel) -> None:
        self._form = form
        self._turn = Turn(kernel, form.embedding.shape[1])
        self._head_turn = Turn(kernel, form.head_size)
        self.mixed = mixed_vectors(form.layers[0].down.in_features)
        self._large = large_channels(form)
        alone = torch.eye(form.embedding.shape[1])[self._large]
        self.directions = self._turn.rows(alone) if self._large else None

    def embedding(self) -> Tensor:
        return self._turn.rows(self._form.embedding)

    def norm(self, name: str, norm: Norm, /) -> Tensor:
        own = norm.weight
        return torch.ones_like(own) if name in TURNED_NORMS else own

    def last_weight(self) -> Tensor:
        return self._form.norm.weight

    def products(self, layer: LayerForm) -> Mapping[str, Make]:
        """Compute scales now: when o and down are packed, v and up have been released."""
        values, gated = self._scales_of_values(layer), _scales_of_gated(layer)
        return {
            "qkv": partial(self._qkv, layer, values),
            "o": partial(self._o, layer, values),
            "gate_up": partial(self._gate_up, layer, gated),
            "down": partial(self._down, layer, gated),
        }

    def head(self) -> Product:
        return self._reading(self._form.head, self._form.norm)

    def _qkv(self, layer: LayerForm, scales: Tensor) -> Sequence[Product]:
        query, key, value = (
            self._reading(each, layer.norms["before_attention"]) for each in layer.qkv
        )
        return query, key, self._by_heads(_divided(value, scales))

    def _by_heads(self, value: Product) -> Product:
        """Return the product with every head's outputs turned."""
        return Product(
            self._head_by_head(value.weight.T).T,
            None if value.bias is None else self._head_by_head(value.bias[None])[0],
            None if value.columns is None else self._head_by_head(value.columns),
        )

    def _head_by_head(self, rows: Tensor) -> Tensor:
        """Return [rows, heads * size] with each row's heads turned."""
        size = self._form.head_size
        return self._head_turn.rows(rows.reshape(-1, size)).view(rows.shape)

    def _o(self, layer: LayerForm, scales: Tensor) -> Sequence[Product]:
        size, own = self._form.head_size, product_of(layer.o)
        each = scales.view(-1, 1, size).expand(-1, self._form.heads // self._form.kv_heads, size)
        weight = own.weight.float() * each.flatten()
        return [self._writing(Product(self._head_by_head(weight), own.bias))]

    def _gate_up(self, layer: LayerForm, scales: Tensor) -> Sequence[Product]:
        gate, up = (self._reading(each, layer.norms["before_mlp"]) for each in layer.gate_up)
        return gate, _divided(up, scales)

    def _down(self, layer: LayerForm, scales: Tensor) -> Sequence[Product]:
        own = product_of(layer.down)
        columns = (own.weight.float() * scales).T.contiguous()
        if self.mixed > 1:
            mix(columns.view(-1, self.mixed, LANES * columns.shape[1]))
        weight = columns.T / self.mixed
        return [self._writing(Product(weight, own.bias))]

    def _reading(self, layer: nn.Linear, norm: Norm) -> Product:
        """Return a product that reads turned states before any norm's weight."""
        own = product_of(layer)
        weight = _weighted(layer, norm)
        columns = weight[:, self._large].T if self._large else None
        return Product(self._turn.rows(weight), own.bias, columns)

    def _writing(self, own: Product) -> Product:
        """Return a product that adds to turned states."""
        bias = None if own.bias is None else self._turn.vector(own.bias)
        return Product(self._turn.columns(own.weight), bias)

    def _scales_of_values(self, layer: LayerForm) -> Tensor:
        """Return one scale per output of v; all heads that read an output share its scale."""
        form = self._form
        value = _weighted(layer.qkv[2], layer.norms["before_attention"])
        shape = (-1, form.kv_heads, form.heads // form.kv_heads, form.head_size)
        read = layer.o.weight.detach().view(shape)
        return _alike(_length(value, 1), _length(read, (0, 2)).flatten())


def mixed_vectors(size: int) -> int:
    """Return how many vectors SwiGLU mixes: the largest power of two that divides them evenly."""
    vectors = size // LANES if size % LANES == 0 else 1
    return min(vectors & -vectors, MOST_MIXED)


def large_channels(form: Form) -> list[int]:
    """Return the channels of the residual stream to which the MLPs write far more than to others.

    Determined by the weights alone; scaling up and down against each other does not change the
    result.
    """
    written = sum(map(_written, form.layers), torch.zeros(form.embedding.shape[1]).double())
    most, channels = written.sort(descending=True, stable=True)
    above = most > LARGE * most[int((1 - ORDINARY) * len(most))]
    return sorted(channels[above][:MOST_LARGE].tolist())


def _written(layer: LayerForm) -> Tensor:
    """Return, by channel, down's weights times their gated channel's length, squared and summed."""
    up = _weighted(layer.gate_up[1], layer.norms["before_mlp"])
    return _length(layer.down.weight.detach() * _length(up, 1).float(), 1).square()


def _scales_of_gated(layer: LayerForm) -> Tensor:
    up = _weighted(layer.gate_up[1], layer.norms["before_mlp"])
    return _alike(_length(up, 1), _length(layer.down.weight.detach(), 0))


def _weighted(layer: nn.Linear, norm: Norm) -> Tensor:
    """Return a layer's weights, multiplied by its norm's."""
    return layer.weight.detach().float() * norm.weight.float()


def _length(weight: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    return weight.float().square().sum(dim, dtype=torch.float64).sqrt()


def _alike(written: Tensor, read: Tensor) -> Tensor:
    """Return the scales that divide a channel's writer, and multiply its reader, to equal length.

    Rounded far more coarsely than the differences between machines in the order of their sums.
    """
    scales = (written / read).sqrt().bfloat16().float()
    return torch.where(scales.isfinite() & (scales > 0), scales, torch.ones_like(scales))


def _divided(own: Product, scales: Tensor) -> Product:
    bias = None if own.bias is None else own.bias / scales
    columns = None if own.columns is None else own.columns / scales
    return Product(own.weight / scales[:, None], bias, columns)
