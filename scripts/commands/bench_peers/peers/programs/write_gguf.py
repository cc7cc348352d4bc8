"""Writes a model of Llama's form as a GGUF file in bf16: `write_gguf.py FOLDER FILE`.

Runs in the environment of llama-server, which has `gguf`. llama.cpp's own converter refuses
tokenizers that it does not know by name, such as the bench's own.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

TOP = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
IN_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def main(folder: Path, file: Path) -> None:
    """Write the file, completely or not at all."""
    config = json.loads((folder / "config.json").read_text())
    unfinished = file.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(unfinished, "llama")
    _write_sizes(writer, config)
    _write_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()))
    for name, values in _tensors(folder / "model.safetensors"):
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
        part = name.split(".")[-2]
        _write_tensor(writer, name, _interleaved(values, heads[part]) if part in heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(file)


def _write_sizes(writer: gguf.GGUFWriter, config: dict[str, int]) -> None:
    writer.add_name("bench")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> None:
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    merges: list[list[str]] = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    writer.add_token_merges([" ".join(pair) for pair in merges])
    # Without one it would use a default: this is a byte, which no reply ever has.
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def _tensors(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield bf16 values as 16-bit integers, since numpy has no such type."""
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        head = json.loads(opened.read(size))
    data = np.memmap(file, np.uint8, "r", 8 + size)
    for name, facts in head.items():
        if name != "__metadata__":
            begin, end = facts["data_offsets"]
            yield name, data[begin:end].view(np.uint16).reshape(facts["shape"])


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Return queries and keys in llama.cpp's order: it rotates neighbours, Hugging Face halves."""
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows, columns)


def _write_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray) -> None:
    if values.ndim == 1:
        wide = (values.astype(np.uint32) << 16).view(np.float32)
        writer.add_tensor(_name(name), wide)
        return
    raw = np.ascontiguousarray(values).view(np.uint8)
    writer.add_tensor(_name(name), raw, raw_dtype=gguf.GGMLQuantizationType.BF16)


def _name(name: str) -> str:
    if name in TOP:
        return TOP[name]
    layer, _, part = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{IN_LAYER[part.removesuffix('.weight')]}.weight"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
