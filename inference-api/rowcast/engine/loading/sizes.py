"""Checks a model's `config.json` and its folder before anything is built from them.

    sizes     whole numbers within bounds, heads that divide: building a model of other sizes may
              take forever, or all the memory
    code      a model that needs its own Python code is refused: only this server's code runs
    weights   safetensors only; pickled ones are not opened, since reading them can run code

Every fault is one sentence. Whether the weights have the configuration's shapes is checked when
they are read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rowcast.engine.loading.architectures import SUPPORTED
from rowcast.errors import UnknownModel
from rowcast.model_files import WEIGHTS, labels_in

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
WIDE, MANY = 2**20, 2**12
BOUNDS: Mapping[str, int] = {
    **dict.fromkeys(("hidden_size", "n_embd", "intermediate_size", "ffn_dim", "n_inner"), WIDE),
    **dict.fromkeys(("ffn_hidden_size", "word_embed_proj_dim", "head_dim"), WIDE),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_local_experts"), MANY),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_key_value_heads"), MANY),
    **dict.fromkeys(("num_kv_heads", "num_experts_per_tok"), MANY),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 2**31 - 1),
    "vocab_size": 2**24,
}
OPTIONAL = ("n_inner", "ffn_hidden_size", "head_dim", "num_key_value_heads", "num_kv_heads")
HEADS = (("num_attention_heads", "hidden_size"), ("n_head", "n_embd"))
KEYS_AND_VALUES = ("num_key_value_heads", "num_kv_heads")


def check_configuration(model: str, words: Mapping[str, Any]) -> None:
    """Raise UnknownModel at the first fault."""
    nested = words.get("text_config")
    parts = [words, *([nested] if isinstance(nested, dict) else [])]
    known = any(part.get("model_type") in SUPPORTED for part in parts)
    if any("auto_map" in part for part in parts) and not known:
        raise UnknownModel(
            f"MODEL {model!r} needs its own Python code (auto_map), which is never run; use a "
            f"model of a supported type: {', '.join(SUPPORTED)}"
        )
    if (labels := labels_in(words)) > 1:
        raise UnknownModel(
            f"MODEL {model!r} is a classifier of {labels} labels; only those of one, which rank, "
            "are served"
        )
    for part in parts:
        if problem := next(_problems(part), ""):
            raise UnknownModel(f"config.json of MODEL {model!r} has {problem}")


def check_weights(model: str, folder: Path) -> None:
    """Raise UnknownModel if there are no weights that can be read."""
    if any(folder.glob(WEIGHTS)):
        return
    if pickled := next((path for each in PICKLED for path in sorted(folder.glob(each))), None):
        raise UnknownModel(
            f"the weights of MODEL {model!r} are pickled ({pickled.name}), and are not read "
            "because that can run code; save the model as safetensors, on a machine where "
            "you trust the model: transformers.AutoModelForCausalLM.from_pretrained(old)."
            "save_pretrained(new)"
        )
    raise UnknownModel(
        f"the weights of MODEL {model!r} cannot be read: {folder} has no *.safetensors file"
    )


def _problems(words: Mapping[str, Any]) -> Iterator[str]:
    for name, most in BOUNDS.items():
        if name not in words or (words[name] is None and name in OPTIONAL):
            continue
        value = words[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            yield f"{name} {_shown(value)}; it must be a whole number from 1 to {most}"
    for heads, width in HEADS:
        if heads in words and width in words and not words.get("head_dim"):
            yield from _uneven(words, heads, width)
    for few in KEYS_AND_VALUES:
        if words.get(few) and "num_attention_heads" in words:
            yield from _uneven(words, few, "num_attention_heads")


def _uneven(words: Mapping[str, Any], part: str, whole: str) -> Iterator[str]:
    if words[whole] % words[part]:
        yield f"{whole} {words[whole]}, which must be a multiple of {part} {words[part]}"


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:40] + "…"
