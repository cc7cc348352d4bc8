"""Models of the Llama form, a step in two calls of C: plans over fixed buffers.

    layers    tokens, positions ──pick──▶ states, cos, sin ──all layers──▶ states
    head      states ──pick the wanted──▶ last norm, head ──▶ logits

Linear layers and what is between them are operations of `kernels.linear_plan`, attention is the
attention kernel's, called from the same plan and on the same threads. All of them treat each token
by itself, so a step runs as many slots as it has tokens. Which models have the form: `lean.form`.
`python -m rowcast.engine.lean.decoder` prints what a step takes, beside transformers' modules.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rowcast.engine.kernels.attention_native import LayerBuffers, NativeAttention, Threads, refuse
from rowcast.engine.kernels.linear import KernelMultiplier, bias_of
from rowcast.engine.kernels.linear_kernel import LinearKernel, Packed
from rowcast.engine.kernels.linear_plan import Plan
from rowcast.engine.lean.form import Form, LayerForm
from rowcast.engine.row_cache import RowCache


class _Buffers:
    """What a step's tokens leave between operations, [most tokens, size] each."""

    def __init__(self, form: Form, most: int) -> None:
        def empty(size: int) -> Tensor:
            return torch.empty(most, size, dtype=form.embedding.dtype)

        hidden, size = form.embedding.shape[1], form.head_size
        widest = max(layer.down.in_features for layer in form.layers)
        self.states, self.normed, self.drawn = empty(hidden), empty(hidden), empty(hidden)
        self.qkv = empty((form.heads + 2 * form.kv_heads) * size)
        self.mixed = empty(form.heads * size)
        self.cos, self.sin = empty(size), empty(size)
        self.merged, self.gated = empty(2 * widest), empty(widest)
        self.logits = empty(form.head.out_features)
        self.token, self.row, self.position, self.wanted = (_Numbers(most) for _ in range(4))


class _Numbers:
    """A tensor of int32 that is filled from lists without torch, whose calls cost more."""

    def __init__(self, most: int) -> None:
        self._memory = (ctypes.c_int32 * most)()
        self.tensor = torch.frombuffer(self._memory, dtype=torch.int32)

    def fill(self, numbers: Sequence[int], least: int, below: int) -> None:
        """The first so many; the kernels do not check what they look up."""
        if numbers and not least <= min(numbers) <= max(numbers) < below:
            raise ValueError(f"{min(numbers)} to {max(numbers)} are not all in {least}..{below}")
        self._memory[: len(numbers)] = list(numbers)


class LeanDecoder:
    """The `Decoder` Protocol for models of the Llama form. It takes the model's weights over."""

    any_width = True

    def __init__(
        self,
        form: Form,
        multiplier: KernelMultiplier,
        attention: NativeAttention,
        cache: RowCache,
        *,
        context: int,
        most: int,
    ) -> None:
        self.name = f"lean {attention.name} {multiplier.name}"
        self.products: list[Packed] = []  # in the order of a step
        self._multiplier = multiplier
        self._attention = attention
        self._cache = cache
        self._below = (form.embedding.shape[0], len(next(iter(cache.keys.values()))), context)
        self._buffers = _Buffers(form, most)
        self._fault = ctypes.c_int64()
        self._layers = self._plan_look_up(form, context)
        for layer in form.layers:
            self._plan_attention(layer, form)
            self._plan_mlp(layer)
        self._head = self._plan_head(form)

    @property
    def kernel(self) -> LinearKernel:
        """What multiplies."""
        return self._multiplier.kernel

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
        self._layers.run(len(tokens))
        self._check()
        if wanted:
            self._head.run(len(wanted))
        return buffers.logits[: len(wanted)]

    def _check(self) -> None:
        if fault := self._fault.value:
            self._fault.value = 0
            refuse(fault)

    def _plan_look_up(self, form: Form, context: int) -> Plan:
        """Begin a step: the tokens' embeddings and angles."""
        buffers, (cos, sin) = self._buffers, _angles(form, context)
        return (
            Plan(self._multiplier.kernel)
            .pick(form.embedding, buffers.token.tensor, buffers.states)
            .pick(cos, buffers.position.tensor, buffers.cos)
            .pick(sin, buffers.position.tensor, buffers.sin)
        )

    def _plan_attention(self, layer: LayerForm, form: Form) -> None:
        plan, buffers = self._layers, self._buffers
        norm = layer.before_attention
        plan.norm(buffers.states, norm.weight, norm.epsilon, buffers.normed)
        plan.linear(buffers.normed, self._pack(layer.qkv), buffers.qkv)
        if layer.head_norms is not None:
            of_query, of_key = layer.head_norms
            plan.head_norm(buffers.qkv, 0, form.heads, of_query.weight, of_query.epsilon)
            plan.head_norm(buffers.qkv, form.heads, form.kv_heads, of_key.weight, of_key.epsilon)
        if layer.rotates:
            plan.rotate(buffers.qkv, form.heads + form.kv_heads, buffers.cos, buffers.sin)
        self._plan_scores(layer, form)
        plan.linear(buffers.mixed, self._pack([layer.o]), buffers.states, buffers.states)

    def _plan_scores(self, layer: LayerForm, form: Form) -> None:
        """Store and attend, by the attention kernel, on the linear kernel's threads."""
        kernel, buffers = self._multiplier.kernel, self._buffers
        parts = buffers.qkv.view(len(buffers.qkv), -1, form.head_size)
        keys_end = form.heads + form.kv_heads
        planned = self._attention.plan(
            LayerBuffers(
                query=parts[:, : form.heads],
                key=parts[:, form.heads : keys_end],
                value=parts[:, keys_end:],
                out=buffers.mixed,
                keys=self._cache.keys[layer.index],
                values=self._cache.values[layer.index],
                row=buffers.row.tensor,
                position=buffers.position.tensor,
                scale=layer.scale,
                window=layer.window,
            ),
            Threads(kernel.threads, kernel.share.value or 0, kernel.crew.value or 0),
            self._fault,
        )
        kept = (planned, self._cache, buffers, self._fault)
        self._layers.foreign(self._attention.planned, ctypes.addressof(planned), *kept)

    def _plan_mlp(self, layer: LayerForm) -> None:
        buffers, norm = self._buffers, layer.before_mlp
        (
            self._layers.norm(buffers.states, norm.weight, norm.epsilon, buffers.normed)
            .linear(buffers.normed, self._pack(layer.gate_up), buffers.merged)
            .swiglu(buffers.merged, buffers.gated)
            .linear(buffers.gated, self._pack([layer.down]), buffers.states, buffers.states)
        )

    def _plan_head(self, form: Form) -> Plan:
        buffers, norm = self._buffers, form.norm
        return (
            Plan(self._multiplier.kernel)
            .pick(buffers.states, buffers.wanted.tensor, buffers.drawn)
            .norm(buffers.drawn, norm.weight, norm.epsilon, buffers.normed)
            .linear(buffers.normed, self._pack([form.head]), buffers.logits)
        )

    def _pack(self, layers: Sequence[nn.Linear]) -> Packed:
        """Layers that read the same input as one weight; theirs is let go of."""
        kernel, kind = self._multiplier.kernel, self._multiplier.kind
        packed = kernel.pack([layer.weight for layer in layers], kind, bias_of(layers))
        for layer in layers:
            layer.register_parameter("weight", None)
        self.products.append(packed)
        return packed


def _angles(form: Form, context: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine at every position, by the model's own module: [context, head size] each."""
    with torch.no_grad():
        cos, sin = form.rotary(form.embedding[:1, None], torch.arange(context)[None])
    if cos.shape != (1, context, form.head_size):
        raise ValueError(f"angles {[*cos.shape]} are not those of heads of {form.head_size}")
    return cos[0].contiguous(), sin[0].contiguous()


if __name__ == "__main__":
    from rowcast.engine.lean.bench import print_table

    print_table()
