"""A model in files that writes broken tool calls of its own accord: `<tool_call>{'`, then anything.

Its layers add nothing, so its next token depends on the last one: after `assistant:` a call begins,
and after a call the text ends. Another one writes `[TOOL_CALLS]`, a special token, then anything.
"""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from engine.speaking import END, save_speaking

MARKS = ("<tool_call>", "</tool_call>")
NAMING_MARKS = ("[TOOL_CALLS]", "[ARGS]")
CERTAIN = 0.4  # of a likely successor's logit


def save_calling(folder: Path) -> Path:
    """Write the checkpoint, tokenizer included."""
    save_speaking(folder)
    file = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in MARKS])
    tokenizer.save(file)
    model = AutoModelForCausalLM.from_pretrained(folder)
    opening, closing = (tokenizer.encode(mark).ids[0] for mark in MARKS)
    colon, brace, quote = (tokenizer.encode(text).ids[0] for text in (":", "{", "'"))
    _teach(model, {colon: opening, opening: brace, brace: quote, closing: END})
    model.save_pretrained(folder)
    return folder


def save_naming(folder: Path) -> Path:
    """Write a checkpoint that begins calls with a special token, and has one for their middle."""
    save_speaking(folder)
    file = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    marks = [AddedToken(mark, special=True, normalized=False) for mark in NAMING_MARKS]
    tokenizer.add_special_tokens(marks)
    tokenizer.save(file)
    model = AutoModelForCausalLM.from_pretrained(folder)
    opening, colon, brace = (tokenizer.encode(text).ids[0] for text in ("[TOOL_CALLS]", ":", "{"))
    _teach(model, {colon: opening, opening: brace})
    model.save_pretrained(folder)
    return folder


def _teach(model: LlamaForCausalLM, successors: dict[int, int]) -> None:
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        words = model.model.embed_tokens.weight
        words.copy_(torch.randn_like(words))
        model.lm_head.weight.zero_()
        for token, successor in successors.items():
            model.lm_head.weight[successor] += words[token] * CERTAIN
