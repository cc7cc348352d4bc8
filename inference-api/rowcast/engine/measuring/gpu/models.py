"""Models of the Llama form with random weights, on any device: nothing has to be downloaded.

SHAPES                   tiny, 0.4b, 1b, 8b
network(shape, …)        transformers' model; the same weights every time
engine_of(network, …)    our engine, which takes over the model's weights
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import transformers
from transformers import LlamaConfig, PreTrainedModel

from rowcast.engine.decoding.decoders import decoder_over
from rowcast.engine.decoding.facts import Facts
from rowcast.engine.decoding.row_cache import LayerShape
from rowcast.engine.engine import CacheMemory
from rowcast.engine.kernels.gpu.available import kernels_of
from rowcast.engine.torch_engine import WIDEST_ON_GPU, TorchEngine

INTERPRETED = 4  # tokens of a step where an interpreter runs it
SPREAD = 0.03  # of noise that is added to a small model's weights, so that replies vary


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model."""

    vocabulary: int
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head: int

    @property
    def products(self) -> int:
        """Weights of linear layers, the head included: two operations each for a token."""
        attention = (2 * self.heads + 2 * self.kv_heads) * self.head
        layer = self.hidden * (attention + 3 * self.inner)
        return self.layers * layer + self.vocabulary * self.hidden

    @property
    def token_values(self) -> int:
        """Values that a token has in the cache."""
        return 2 * self.layers * self.kv_heads * self.head


SHAPES: Mapping[str, Shape] = {
    "smallest": Shape(67, 32, 48, 1, 2, 1, 16),
    "tiny": Shape(199, 64, 96, 2, 4, 2, 16),
    "0.4b": Shape(49152, 960, 2560, 32, 15, 5, 64),
    "1b": Shape(128256, 2048, 8192, 16, 32, 8, 64),
    "8b": Shape(128256, 4096, 14336, 32, 32, 8, 128),
}


def network(shape: Shape, dtype: torch.dtype, device: torch.device, positions: int) -> Any:
    """Return transformers' model with random weights."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
    )
    transformers.logging.set_verbosity_error()
    torch.manual_seed(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = transformers.LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    if shape.hidden < 1024:
        generator = torch.Generator(device).manual_seed(2)
        for weight in model.parameters():
            noise = torch.empty_like(weight).normal_(generator=generator)
            weight.data.add_(noise, alpha=SPREAD)
    return model.eval().requires_grad_(requires_grad=False)


def engine_of(model: PreTrainedModel, shape: Shape, context: int, *, rows: int) -> TorchEngine:
    """Return an engine over a model."""
    weight = model.get_input_embeddings().weight
    layer = LayerShape(shape.kv_heads, shape.head, shape.head)
    facts = Facts(
        shapes=dict.fromkeys(range(shape.layers), layer),
        context=context,
        positions=context,
        vocabulary=shape.vocabulary,
        dtype=weight.dtype,
        device=weight.device,
        end_tokens=frozenset(),
        suppressed=(),
        digest="random",
    )
    memory = CacheMemory(rows * context, shape.token_values * weight.itemsize)
    kernels = kernels_of(weight.device)
    most = WIDEST_ON_GPU if weight.device.type == "cuda" else INTERPRETED
    return TorchEngine(
        *("check", facts, decoder_over(model, facts, None, kernels=kernels), _no_texts),
        rows=rows,
        widest=min(most, rows * context),
        memory=memory,
        kernels=kernels,
    )


def _no_texts() -> NoReturn:
    raise NotImplementedError("random weights have no tokenizer, so no reply has a grammar")
