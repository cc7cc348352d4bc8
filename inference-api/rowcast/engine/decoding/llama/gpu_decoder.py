"""Decodes models of the Llama form on a GPU: a step is one graph of kernels over fixed buffers.

    numbers   tokens, rows, positions, wanted slots ──one copy──▶ the device
    layers    pick ──▶ states ──all layers──▶ states       ┐ one graph for each class of widths;
    head      pick the wanted ──▶ last norm, head ──▶ logits ┘ slots without a token are of row -1
    states    states ──pick any──▶ last norm

Nothing here waits for the device: the copy of the drawn tokens does. All kernels compute each token
independently and in one order, so bits depend neither on the class nor on what fills it up. Import
this only where Triton is: `decoders` does.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from rowcast.engine.decoding.llama.gpu_parts import BIAS
from rowcast.engine.decoding.llama.model import CLASSIFIER, LAST, LayerShape, LlamaModel
from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.gpu.attention import TritonAttention
from rowcast.engine.kernels.gpu.graphs import Capture, Graphs, Numbers, width_class
from rowcast.engine.kernels.gpu.linear import gated, linear
from rowcast.engine.kernels.gpu.token_by_token import place_heads, rms_norm

FEW = 64  # wanted slots whose logits are part of a step's graph: one tile


class GpuLlamaDecoder:
    """The `Decoder` Protocol for models of the Llama form, by the kernels for GPUs."""

    any_width = True

    def __init__(
        self,
        model: LlamaModel,
        attention: TritonAttention,
        cache: RowCache,
        *,
        most: int,
        capture: Capture,
    ) -> None:
        self.name = f"llama {attention.name}"
        self._model = model
        self._attention = attention
        self._cache = cache
        self._most = most
        embedding = model.tensor("embedding")
        self._numbers = Numbers(4, max(most, FEW), embedding.device)
        self._token, self._row, self._position, self._wanted = self._numbers.on_device
        self._states = embedding.new_empty(most, embedding.shape[1])
        self._logits = embedding.new_empty(FEW, len(model.tensor("head")))
        self._graphs = Graphs(capture)
        rows, _, context, _ = next(iter(cache.keys.values())).shape
        self._below = (len(embedding), rows, min(context, len(model.tensor("cos"))))
        self.dimensions = embedding.shape[1]
        self.classifier = model.tensor(CLASSIFIER) if model.has(CLASSIFIER) else None
        self._fed = 0  # slots of the last step

    def logits(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        self._check(tokens, rows, positions, wanted)
        self._fed = len(tokens)
        self._numbers.send((tokens, 0), (rows, -1), (positions, 0), (wanted, 0))
        width, heads = width_class(len(tokens), self._most), 0 < len(wanted) <= FEW
        self._graphs.run((width, heads), partial(self._step, width, heads=heads))
        if len(wanted) > FEW:
            return self._head(self._wanted[: len(wanted)])
        return self._logits[: len(wanted)]

    def states(self, slots: Sequence[int]) -> Tensor:
        _check_range(slots, 0, self._fed)
        at = torch.tensor(slots, dtype=torch.int32).to(self._states.device)
        return self._last(at).float()

    def _check(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> None:
        """Raise ValueError for numbers that kernels would read or write out of place."""
        if not len(tokens) == len(rows) == len(positions) <= self._most:
            raise ValueError(f"{len(tokens)} tokens for a step of at most {self._most}")
        if len(wanted) > self._wanted.numel():
            raise ValueError(f"{len(wanted)} wanted slots, at most {self._wanted.numel()}")
        vocabulary, all_rows, context = self._below
        _check_range(tokens, 0, vocabulary)
        _check_range(rows, -1, all_rows)
        _check_range(positions, 0, context)
        _check_range(wanted, 0, len(tokens))

    def _step(self, width: int, *, heads: bool) -> None:
        """Launch the kernels of a step: what a graph records."""
        embedding, states = self._model.tensor("embedding"), self._states[:width]
        torch.index_select(embedding, 0, self._token[:width], out=states)
        for layer in self._model.shape.layers:
            self._attend(layer, states)
            self._feed_forward(layer, states)
        if heads:
            self._head(self._wanted[:FEW], self._logits)

    def _attend(self, layer: LayerShape, states: Tensor) -> None:
        """Add a layer's attention to the states."""
        row, position = self._row[: len(states)], self._position[: len(states)]
        keys, values = self._cache.keys[layer.index], self._cache.values[layer.index]
        merged = self._linear(f"{layer.index}.qkv", self._norm(layer, "before_attention", states))
        query = place_heads(
            merged,
            keys,
            values,
            row,
            position,
            angles=self._angles if layer.rotates else None,
            norms=self._head_norms(layer),
            epsilon=layer.epsilons.get("of_query", 0.0),
        )
        mixed = self._attention.attend(
            query, keys, values, row, position, scale=layer.scale, window=layer.window
        )
        self._linear(f"{layer.index}.o", mixed.view(len(states), -1), states)

    def _feed_forward(self, layer: LayerShape, states: Tensor) -> None:
        """Add a layer's MLP to the states."""
        name = f"{layer.index}.gate_up"
        normed = self._norm(layer, "before_mlp", states)
        inner = gated(normed, self._model.tensor(name), self._bias(name))
        self._linear(f"{layer.index}.down", inner, states)

    def _head(self, slots: Tensor, out: Tensor | None = None) -> Tensor:
        return self._linear("head", self._last(slots), out=out)

    def _last(self, slots: Tensor) -> Tensor:
        """Return the states of some slots after the last norm."""
        picked = self._states.index_select(0, slots)
        return rms_norm(picked, self._model.tensor(LAST), self._model.shape.epsilon)

    def _norm(self, layer: LayerShape, name: str, states: Tensor) -> Tensor:
        weight = self._model.tensor(f"{layer.index}.{name}")
        return rms_norm(states, weight, layer.epsilons[name])

    def _linear(
        self, name: str, states: Tensor, added: Tensor | None = None, out: Tensor | None = None
    ) -> Tensor:
        """Multiply states by a weight; or add the product to `added`, in place."""
        weight, out = self._model.tensor(name), out if added is None else added
        return linear(states, weight, self._bias(name), residual=added, out=out)

    def _bias(self, name: str) -> Tensor | None:
        whole = f"{name}.{BIAS}"
        return self._model.tensor(whole) if self._model.has(whole) else None

    @property
    def _angles(self) -> tuple[Tensor, Tensor]:
        return self._model.tensor("cos"), self._model.tensor("sin")

    def _head_norms(self, layer: LayerShape) -> tuple[Tensor, Tensor] | None:
        query, key = self._model.norm(layer, "of_query"), self._model.norm(layer, "of_key")
        if query is None or key is None:
            return None
        if query.epsilon != key.epsilon:
            raise ValueError("norms of queries and keys differ in epsilon")
        return query.weight, key.weight


def _check_range(numbers: Sequence[int], least: int, below: int) -> None:
    if numbers and not least <= min(numbers) <= max(numbers) < below:
        raise ValueError(f"{min(numbers)} to {max(numbers)} are not all in {least}..{below}")
