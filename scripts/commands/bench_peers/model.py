"""Makes a model of random weights with a tokenizer, as a folder that every peer can convert.

In: a shape, a seed, a folder. Out: config.json, model.safetensors (bf16), tokenizer.json. A byte is
a token, so a prompt's length is known; every other token is a word, so that every token of a reply
becomes text at once. Bytes are never drawn greedily: their rows of the head are zero. Made once;
the stamp, written last, records the parameters.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from commands.bench_peers.shapes import Shape

if TYPE_CHECKING:
    import torch

STAMP = "made-by-bench_peers.json"
BYTES = 256
TILDES = "~~"  # some tools require at least one merge; no prompt has two tildes
DEVIATION = 0.02
CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def make_model(shape: Shape, folder: Path, seed: int = 0) -> Path:
    """Return the model's folder; make it if it does not exist."""
    stamp = json.dumps({"form": 1, "seed": seed, "shape": shape.described()})
    file = folder / STAMP
    if file.is_file() and file.read_text() == stamp:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write_json(folder / "config.json", shape.config())
    _write_json(folder / "generation_config.json", {"do_sample": False})
    _write_tokenizer(shape, folder)
    _write_weights(shape, folder / "model.safetensors", seed)
    file.write_text(stamp)
    return folder


def _write_tokenizer(shape: Shape, folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415  # slow

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġw{number}" for number in range(shape.vocabulary - len(letters) - 1)]
    vocabulary = {text: number for number, text in enumerate([*letters, TILDES, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("~", "~")]))
    # The stubs declare neither attribute as writable.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment,unused-ignore]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment,unused-ignore]
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": CHAT}
    _write_json(folder / "tokenizer_config.json", {**facts, "model_max_length": shape.positions})


def _write_weights(shape: Shape, file: Path, seed: int) -> None:
    import torch  # noqa: PLC0415  # slow
    from safetensors.torch import save_file  # noqa: PLC0415

    dice = torch.Generator().manual_seed(seed)
    tensors = {name: _tensor(name, size, dice) for name, size in tensor_sizes(shape)}
    save_file(tensors, file, metadata={"format": "pt"})


def _tensor(name: str, size: tuple[int, ...], dice: torch.Generator) -> torch.Tensor:
    import torch  # noqa: PLC0415

    if len(size) == 1:
        return torch.ones(size, dtype=torch.bfloat16)
    drawn = torch.empty(size).normal_(0, DEVIATION, generator=dice).bfloat16()
    if name == "lm_head.weight":
        drawn[: BYTES + 1] = 0
    return drawn


def tensor_sizes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield every tensor of the model by name, with its size."""
    wide, narrow = shape.hidden, shape.head * shape.kv_heads
    yield "model.embed_tokens.weight", (shape.vocabulary, wide)
    for layer in range(shape.layers):
        for name, size in (
            ("self_attn.q_proj", (wide, wide)),
            ("self_attn.k_proj", (narrow, wide)),
            ("self_attn.v_proj", (narrow, wide)),
            ("self_attn.o_proj", (wide, wide)),
            ("mlp.gate_proj", (shape.inner, wide)),
            ("mlp.up_proj", (shape.inner, wide)),
            ("mlp.down_proj", (wide, shape.inner)),
            ("input_layernorm", (wide,)),
            ("post_attention_layernorm", (wide,)),
        ):
            yield f"model.layers.{layer}.{name}.weight", size
    yield "model.norm.weight", (wide,)
    yield "lm_head.weight", (shape.vocabulary, wide)


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
