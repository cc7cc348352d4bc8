"""Decodes models of the Llama form: a step in two calls of C, as plans over fixed buffers.

    layers    tokens, positions ──pick──▶ states, cos, sin ──all layers──▶ states
    head      states ──pick the wanted──▶ last norm, head ──▶ logits
    states    states ──pick any──▶ last norm

Linear layers and the operations between them come from `kernels.linear_plan`; the attention kernel
is called from the same plan and on the same threads. All of them compute each token independently,
so a step runs as many slots as it has tokens. Which models have the form: `llama.shape`.
`python -m rowcast.engine.measuring.llama_bench` prints the time of a step, next to transformers'
modules.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.engine.decoding.decoder import DecoderMaker
from rowcast.engine.decoding.llama.last_states import states_back
from rowcast.engine.decoding.llama.model import CLASSIFIER, LAST, LayerShape, LlamaModel
from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.attention_native import LayerBuffers, NativeAttention, refuse
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.linear_plan import Plan
from rowcast.engine.kernels.packed_weight import Packed
from rowcast.errors import RowcastError


class KernelsMissing(RowcastError):
    """The kernels that a model's weights are packed for do not run here."""


def llama_maker(model: LlamaModel, kernel: LinearKernel | None, context: int) -> DecoderMaker:
    """Return what binds a packed model to a cache. Raises KernelsMissing."""

    def make(
        attention: Attention, cache: RowCache, most: int
    ) -> tuple["LlamaDecoder", LinearKernel]:
        if kernel is None or not isinstance(attention, NativeAttention):
            raise KernelsMissing("the kernels for these packed weights are no longer available")
        return LlamaDecoder(model, kernel, attention, cache, context=context, most=most), kernel

    return make


class _Buffers:
    """The states of a step's tokens between operations, [most tokens, size] each."""

    def __init__(self, model: LlamaModel, most: int) -> None:
        shape, embedding = model.shape, model.tensor("embedding")

        def empty(size: int) -> Tensor:
            return torch.empty(most, size, dtype=embedding.dtype)

        hidden, size = embedding.shape[1], shape.head_size
        widest = max(model.packed(f"{layer.index}.down").inputs for layer in shape.layers)
        self.states, self.normed, self.drawn = empty(hidden), empty(hidden), empty(hidden)
        self.qkv = empty((shape.heads + 2 * shape.kv_heads) * size)
        self.mixed = empty(shape.heads * size)
        self.cos, self.sin = empty(size), empty(size)
        self.merged, self.gated = empty(2 * widest), empty(widest)
        self.logits = empty(model.packed("head").outputs)
        self.token, self.row, self.position, self.wanted = (_Numbers(most) for _ in range(4))


class _Numbers:
    """A tensor of int32, filled from lists without torch, whose calls would be slower."""

    def __init__(self, most: int) -> None:
        self._memory = (ctypes.c_int32 * most)()
        self.tensor = torch.frombuffer(self._memory, dtype=torch.int32)

    def fill(self, numbers: Sequence[int], least: int, below: int) -> None:
        """Set the first numbers; check their range, because the kernels do not."""
        if numbers and not least <= min(numbers) <= max(numbers) < below:
            raise ValueError(f"{min(numbers)} to {max(numbers)} are not all in {least}..{below}")
        self._memory[: len(numbers)] = list(numbers)


class LlamaDecoder:
    """The `Decoder` Protocol for models of the Llama form."""

    any_width = True

    def __init__(
        self,
        model: LlamaModel,
        kernel: LinearKernel,
        attention: NativeAttention,
        cache: RowCache,
        *,
        context: int,
        most: int,
    ) -> None:
        self.name = f"lean-{model.shape.basis} {attention.name} {kernel.name_of(*model.kinds)}"
        self.kernel = kernel
        self._model = model
        self._attention = attention
        self._cache = cache
        vocabulary = len(model.tensor("embedding"))
        self._below = (vocabulary, len(next(iter(cache.keys.values()))), context)
        self._buffers = _Buffers(model, most)
        self._fault = ctypes.c_int64()
        self._layers = self._plan_look_up()
        for layer in model.shape.layers:
            self._plan_attention(layer)
            self._plan_mlp(layer)
        self._last = self._plan_last()
        self._head = self._plan_last().linear(
            self._buffers.normed, model.packed("head"), self._buffers.logits
        )
        self._back = states_back(model, kernel)
        self.dimensions = 0 if self._back is None else self._buffers.normed.shape[1]
        self.classifier = model.tensor(CLASSIFIER) if model.has(CLASSIFIER) else None
        self._fed = 0  # slots of the last step

    @property
    def products(self) -> list[Packed]:
        """Its weights, in the order of a step."""
        names = ("qkv", "o", "gate_up", "down")
        layers = [f"{layer.index}.{name}" for layer in self._model.shape.layers for name in names]
        return [self._model.packed(name) for name in (*layers, "head")]

    def logits(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        buffers, (vocabulary, all_rows, context) = self._buffers, self._below
        buffers.token.fill(tokens, 0, vocabulary)
        buffers.row.fill(rows, -1, all_rows)
        buffers.position.fill(positions, 0, context)
        buffers.wanted.fill(wanted, 0, len(tokens))
        self._fed = len(tokens)
        self._layers.run(self._fed)
        self._check()
        if wanted:
            self._head.run(len(wanted))
        return buffers.logits[: len(wanted)]

    def states(self, slots: Sequence[int]) -> Tensor:
        if self._back is None:
            raise ValueError("the packed weights lack what states need")
        self._buffers.wanted.fill(slots, 0, self._fed)
        self._last.run(len(slots))
        return self._back(self._buffers.normed[: len(slots)])

    def _check(self) -> None:
        if fault := self._fault.value:
            self._fault.value = 0
            refuse(fault)

    def _plan_look_up(self) -> Plan:
        """Begin a step: look up the tokens' embeddings and angles."""
        buffers, model = self._buffers, self._model
        return (
            Plan(self.kernel)
            .pick(model.tensor("embedding"), buffers.token.tensor, buffers.states)
            .pick(model.tensor("cos"), buffers.position.tensor, buffers.cos)
            .pick(model.tensor("sin"), buffers.position.tensor, buffers.sin)
        )

    def _plan_attention(self, layer: LayerShape) -> None:
        plan, buffers, model = self._layers, self._buffers, self._model
        heads, kv_heads = model.shape.heads, model.shape.kv_heads
        self._plan_norm(layer, "before_attention")
        plan.linear(buffers.normed, model.packed(f"{layer.index}.qkv"), buffers.qkv)
        if of_query := model.norm(layer, "of_query"):
            plan.head_norm(buffers.qkv, 0, heads, of_query.weight, of_query.epsilon)
        if of_key := model.norm(layer, "of_key"):
            plan.head_norm(buffers.qkv, heads, kv_heads, of_key.weight, of_key.epsilon)
        if layer.rotates:
            plan.rotate(buffers.qkv, heads + kv_heads, buffers.cos, buffers.sin)
        self._plan_scores(layer)
        output = model.packed(f"{layer.index}.o")
        plan.linear(buffers.mixed, output, buffers.states, buffers.states)

    def _plan_scores(self, layer: LayerShape) -> None:
        """Store and attend, by the attention kernel, on the linear kernel's threads."""
        buffers, shape = self._buffers, self._model.shape
        parts = buffers.qkv.view(len(buffers.qkv), -1, shape.head_size)
        keys_end = shape.heads + shape.kv_heads
        planned = self._attention.plan(
            LayerBuffers(
                query=parts[:, : shape.heads],
                key=parts[:, shape.heads : keys_end],
                value=parts[:, keys_end:],
                out=buffers.mixed,
                keys=self._cache.keys[layer.index],
                values=self._cache.values[layer.index],
                row=buffers.row.tensor,
                position=buffers.position.tensor,
                scale=layer.scale,
                window=layer.window,
            ),
            self.kernel.thread_pool,
            self._fault,
        )
        alive = (planned, self._cache, buffers, self._fault)
        self._layers.foreign(self._attention.planned, ctypes.addressof(planned), *alive)

    def _plan_mlp(self, layer: LayerShape) -> None:
        plan, buffers, model = self._layers, self._buffers, self._model
        self._plan_norm(layer, "before_mlp")
        plan.linear(buffers.normed, model.packed(f"{layer.index}.gate_up"), buffers.merged)
        plan.swiglu(buffers.merged, buffers.gated, model.shape.mixed)
        down = model.packed(f"{layer.index}.down")
        plan.linear(buffers.gated, down, buffers.states, buffers.states)

    def _plan_norm(self, layer: LayerShape, name: str) -> None:
        if norm := self._model.norm(layer, name):
            buffers = self._buffers
            self._layers.norm(buffers.states, norm.weight, norm.epsilon, buffers.normed)

    def _plan_last(self) -> Plan:
        """Pick the wanted slots' states, and apply the last norm."""
        buffers, model = self._buffers, self._model
        return (
            Plan(self.kernel)
            .pick(buffers.states, buffers.wanted.tensor, buffers.drawn)
            .norm(buffers.drawn, model.tensor(LAST), model.shape.epsilon, buffers.normed)
        )
