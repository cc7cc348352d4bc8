"""Small random-weight checkpoints, one folder for each supported architecture.

`SHAPES` names them; `save(name, folder)` writes one in the layout of its hub. Weights are spread
more widely than a fresh model's, so that greedy replies vary instead of repeating one token.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedConfig

VOCABULARY = 199
END = 2
_SPECIAL = {"bos_token_id": 1, "eos_token_id": END, "pad_token_id": 0, "vocab_size": VOCABULARY}
_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    **_SPECIAL,
}
_EQUAL_HEADS = {name: value for name, value in _SHAPE.items() if name != "num_key_value_heads"}
_FALCON = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, **_SPECIAL}
_GEMMA = {**_SHAPE, "head_dim": 16, "sliding_window": 7, "query_pre_attn_scalar": 16}

SHAPES: Mapping[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: transformers.LlamaConfig(**_SHAPE),
    "qwen2": lambda: transformers.Qwen2Config(**_SHAPE),
    "qwen2, sliding window": lambda: transformers.Qwen2Config(
        **_SHAPE, use_sliding_window=True, sliding_window=7, max_window_layers=1
    ),
    "qwen3": lambda: transformers.Qwen3Config(**_SHAPE, head_dim=16),
    "mistral": lambda: transformers.MistralConfig(**_SHAPE, sliding_window=None),
    "mistral, sliding window": lambda: transformers.MistralConfig(**_SHAPE, sliding_window=7),
    "mixtral": lambda: transformers.MixtralConfig(**_SHAPE, num_local_experts=4),
    "gemma2": lambda: transformers.Gemma2Config(**_GEMMA),
    "gemma3": lambda: transformers.Gemma3TextConfig(**_GEMMA),
    "phi": lambda: transformers.PhiConfig(**_SHAPE),
    "phi3": lambda: transformers.Phi3Config(**_SHAPE),
    "phi3, sliding window": lambda: transformers.Phi3Config(**_SHAPE, sliding_window=7),
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=64, n_layer=3, n_head=4, n_positions=256, **_SPECIAL
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**_EQUAL_HEADS),
    "opt": lambda: transformers.OPTConfig(
        hidden_size=64,
        ffn_dim=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        word_embed_proj_dim=64,
        **_SPECIAL,
    ),
    "falcon, rotary": lambda: transformers.FalconConfig(
        **_FALCON, alibi=False, new_decoder_architecture=True, num_kv_heads=2
    ),
    "falcon, ALiBi": lambda: transformers.FalconConfig(
        **_FALCON, alibi=True, multi_query=False, new_decoder_architecture=False
    ),
    "smollm3": lambda: transformers.SmolLM3Config(**_SHAPE),
    "gpt_oss": lambda: transformers.GptOssConfig(
        **_SHAPE, head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=7
    ),
}

LEAN_SHAPES = (
    "llama",
    "qwen2",
    "qwen2, sliding window",
    "qwen3",
    "mistral",
    "mistral, sliding window",
    "smollm3",
)
"""Those of the Llama form, which have a decoder of their own."""


def save(name: str, folder: Path) -> Path:
    """Write the checkpoint of a shape, with the same weights every time."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(SHAPES[name]())
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.08)
    path = folder / name.replace(", ", "-").replace(" ", "-")
    model.save_pretrained(path)
    return path
