"""The shapes of the two models, and how they are written to their folders."""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from models import initial_weights
from models.vocabulary import POSITIONS, SIZE

END_OF_TEXT, END = 0, 4
ROPE_THETA = 500_000.0  # half of a head's dimensions hardly turn within a text
Shape = dict[str, int | bool]
STORYTELLER: Shape = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
DRAFT: Shape = {
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
}


def fresh(shape: Shape, seed: int) -> LlamaForCausalLM:
    """Return a model with random weights; one with an untied head starts able to copy."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        **shape,
        vocab_size=SIZE,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        bos_token_id=None,
        eos_token_id=[END_OF_TEXT, END],
        pad_token_id=END_OF_TEXT,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    if not config.tie_word_embeddings:
        initial_weights.initialise(model)
    return model


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors, in bf16."""
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        top_k=50,
        eos_token_id=[END_OF_TEXT, END],
        pad_token_id=END_OF_TEXT,
    )
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = model.generation_config
    copy.to(torch.bfloat16).save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


def cost(folder: Path) -> int:
    """Return the multiplications per token: the layers' and the head's; look-up is free."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * inner
    return int(layer * config["num_hidden_layers"] + hidden * config["vocab_size"])
