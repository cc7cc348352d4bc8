"""The shapes of model that are compared: sizes in Llama's form, by their names here."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one model; embedding and head are not tied."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int = 2048

    @property
    def head(self) -> int:
        """The size of one head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """The number of weights."""
        attention = 2 * self.hidden * self.head * (self.heads + self.kv_heads)
        layer = attention + 3 * self.hidden * self.inner + 2 * self.hidden
        return 2 * self.vocabulary * self.hidden + self.layers * layer + self.hidden

    def config(self) -> dict[str, object]:
        """Return its `config.json`. There is no end of text: replies have the requested length."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "bfloat16",
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.positions,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "attention_bias": False,
            "mlp_bias": False,
            "bos_token_id": None,
            "eos_token_id": None,
        }

    def described(self) -> dict[str, int]:
        """Return the shape for a report."""
        return {**asdict(self), "parameters": self.parameters}


SHAPES: dict[str, Shape] = {
    "0.5B": Shape(896, 4864, 24, 14, 2, 32000),
    "12.5M": Shape(384, 1024, 6, 6, 2, 8000),
    "tiny": Shape(128, 192, 2, 2, 1, 320, positions=256),
}
