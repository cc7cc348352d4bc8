"""A tiny model with a tokenizer: every byte, a few longer tokens, and ids without text.

Its weights are random, so without a rule its text is random; under a rule, the rule shapes it.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig

TEXT = ['{"name": "value", "list": [1, 2, 3], "flag": true, "none": null, "other": false}'] * 9
SIZE = 320  # larger than the tokenizer, as in many models
END = 2


def save_speaking(folder: Path) -> Path:
    """Write the checkpoint, tokenizer included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            vocab_size=SIZE,
            bos_token_id=1,
            eos_token_id=END,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.02)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
