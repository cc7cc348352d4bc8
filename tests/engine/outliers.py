"""Rescales a model's channels to very different sizes, without changing its function.

Powers of two are multiplied into what writes a channel and divided out of what reads it, so in fp32
and bf16 no bit of any result changes; int8 with one scale per row loses small values.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

LARGE = 1024.0
EVERY = 37  # channels


@torch.no_grad()
def scale_against_each_other(model: PreTrainedModel) -> None:
    """Scale in every layer: between up and down, v and o, norms and the layers after them."""
    inner: Any = model.model
    for layer in inner.layers:
        attention, mlp = layer.self_attn, layer.mlp
        _scale(layer.input_layernorm.weight, attention.q_proj, attention.k_proj, attention.v_proj)
        _scale(layer.post_attention_layernorm.weight, mlp.gate_proj, mlp.up_proj)
        _scale(mlp.up_proj.weight, mlp.down_proj)
        value, output = attention.v_proj, attention.o_proj
        size = attention.head_dim
        groups = output.weight.shape[1] // value.weight.shape[0]
        value.weight[::EVERY] *= LARGE
        if value.bias is not None:
            value.bias[::EVERY] *= LARGE
        by = torch.ones(len(value.weight))
        by[::EVERY] /= LARGE
        output.weight *= by.view(-1, 1, size).expand(-1, groups, size).flatten()


def _scale(writer: Tensor, *readers: Any) -> None:
    writer[::EVERY] *= LARGE
    for reader in readers:
        reader.weight[:, ::EVERY] /= LARGE


def save_with_outliers(source: Path, folder: Path) -> Path:
    """Save a copy of a model's folder with scaled channels."""
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    scale_against_each_other(model)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    return folder
