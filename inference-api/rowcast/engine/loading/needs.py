"""The memory of a loaded model, computed from its configuration and its files' headers alone.

    needs_of_model(settings) ──▶ Needs: bytes, and how they add up

It is the sum of the weights as they will be held, the KV cache, the store of prefixes, and the
processes that load and compute. The cache is KV_MEMORY, or every row in full; if that exceeds
MODELS_MEMORY, it is what the rest leaves, but one full row at least. Imports no library that loads
models, since it runs before anything is loaded; `loader` computes the same from the model itself,
and refuses what does not fit.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from rowcast.engine.kernels.build import COMPILERS
from rowcast.engine.loading.free_memory import MEBIBYTE, mebibytes, prefix_memory
from rowcast.engine.loading.sizes import check_configuration, check_weights
from rowcast.errors import UnknownModel
from rowcast.model_files import CONFIGURATION, WEIGHTS, ModelFiles, files_of
from rowcast.settings import ONE_LAYER, Settings

ROWS = 32
POSITIONS = 2048  # of a model that does not specify them
PACKED = 180 * MEBIBYTE  # of the processes of a model that is loaded packed
BY_MODULES = 305 * MEBIBYTE  # of those that import transformers, too
PACKED_TYPES = ("float32", "bfloat16")
LLAMA_TYPES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
LANES, CHUNK, SCALES = 16, 32, 8  # of the layout of packed weights in 8 bits
LONGEST_HEADER = 100 << 20
PAGES = 1 << 20  # bytes to which the cache is rounded, so that a row in full has all its pages
ITEM_SIZES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
_LAYER = re.compile(r"\.(\d+)\.")
_ONE_LAYER_SHAPE = {
    "model_type": "falcon",
    "dtype": "float32",
    "hidden_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_kv_heads": 2,
    "new_decoder_architecture": True,
    "vocab_size": 257,
}

Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of memory, and how they add up."""

    size: int
    arithmetic: str
    kv_memory: int = 0  # bytes of a cache whose rows cannot all be full; 0: of one whose rows can


@dataclass(frozen=True, slots=True)
class Tensors:
    """What determines the size of weights."""

    shapes: Mapping[str, tuple[int, ...]]
    item: int  # bytes of a value
    in_8_bits: bool  # the weights of linear layers

    @property
    def size(self) -> int:
        return sum(self._size(name, shape) for name, shape in self.shapes.items())

    def _size(self, name: str, shape: tuple[int, ...]) -> int:
        if not self.in_8_bits or len(shape) < 2 or _is_embedding(name):
            return prod(shape) * self.item
        *many, outputs, inputs = shape
        return prod(many) * _up(outputs, LANES) * (_up(inputs, CHUNK) + SCALES)


def needs_of_model(settings: Settings) -> Needs:
    """Return the memory that one of transformers' models takes. Raises UnknownModel."""
    if settings.served_model == ONE_LAYER:
        return _needs(settings, _ONE_LAYER_SHAPE, _drawn(_ONE_LAYER_SHAPE, 1))
    files = files_of(settings)
    words = files.words(CONFIGURATION)
    check_configuration(settings.served_model, words)
    words = words.get("text_config") or words
    layers = _layers(settings, words)
    if settings.no_weights:
        return _needs(settings, words, _drawn(words, layers))
    folder = files.folder()
    few = settings.load_image and not settings.save_image
    if not few:
        check_weights(files.model, folder)
    return _needs(settings, words, _read(files, folder, layers) or _drawn(words, layers))


def _needs(settings: Settings, words: Words, shapes: dict[str, tuple[int, ...]]) -> Needs:
    item = _item_size(settings, words)
    packed = _is_packed(settings, words)
    if (packed or settings.dtype == "int8") and not any("lm_head" in name for name in shapes):
        shapes["lm_head.weight"] = (_number(words, "vocab_size"), _width(words))
    weights = Tensors(shapes, item, settings.dtype == "int8").size
    values = _layers(settings, words) * _values(words)
    context = settings.context_length or _positions(words)
    whole = values * ROWS * context * item
    prefixes = prefix_memory(settings.prefix_memory, min(settings.kv_memory or whole, whole))
    processes = PACKED if packed else BY_MODULES
    cache = _cache(settings, whole, weights + prefixes + processes)
    part = f"{mebibytes(cache)} of " if cache < whole else ""
    return Needs(
        weights + cache + prefixes + processes,
        f"weights {mebibytes(weights)} + KV cache {part}{mebibytes(whole)} ({ROWS} rows x "
        f"{context} positions x {values} values x {item} bytes) + prefixes {mebibytes(prefixes)} + "
        f"processes {mebibytes(processes)}",
        cache if cache < whole else 0,
    )


def _cache(settings: Settings, whole: int, others: int) -> int:
    """Return the bytes of the cache, beside those that weights and processes take."""
    if settings.kv_memory:
        return min(whole, settings.kv_memory)
    if settings.models is None or not settings.models_memory or settings.device == "cuda":
        return whole
    left = (settings.models_memory - others) // PAGES * PAGES
    return min(whole, max(whole // ROWS + PAGES, left))


def _is_packed(settings: Settings, words: Words) -> bool:
    """True if the Llama decoder's kernels will hold the weights."""
    if words.get("model_type") not in LLAMA_TYPES or settings.device == "cuda":
        return False
    if settings.dtype == "int8":
        return True
    return _dtype(settings, words) in PACKED_TYPES and _has_compiler() and _has_vectors()


def _has_compiler() -> bool:
    return any(map(shutil.which, COMPILERS))


def _has_vectors(information: Path = Path("/proc/cpuinfo")) -> bool:
    try:
        return {"avx2", "fma"} <= set(information.read_text().split())
    except OSError:
        return False


def _read(files: ModelFiles, folder: Path, layers: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes in the headers of the weights' files, of the first `layers` layers."""
    return {
        name: shape
        for path in sorted(folder.glob(WEIGHTS))
        for name, shape in _shapes(files.model, path)
        if not (found := _LAYER.search(name)) or int(found[1]) < layers
    }


def _shapes(model: str, path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        for name, about in header.items():
            if name != "__metadata__":
                yield name, tuple(int(each) for each in about["shape"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnknownModel(
            f"the weights of MODEL {model!r} cannot be read: {path.name}: {error}"
        ) from error


def _drawn(words: Words, layers: int) -> dict[str, tuple[int, ...]]:
    """Return roughly the shapes of random weights for a configuration."""
    width = _width(words)
    inner = _first(words, "intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")
    vocabulary = _number(words, "vocab_size")
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (vocabulary, width),
        "lm_head.weight": (vocabulary, width),
    }
    for layer in range(layers):
        shapes[f"layers.{layer}.attention"] = (4 * width, width)
        shapes[f"layers.{layer}.mlp"] = (3 * (inner or 4 * width), width)
    return shapes


def _layers(settings: Settings, words: Words) -> int:
    layers = _first(words, "num_hidden_layers", "n_layer")
    few = 1 if settings.no_weights else 2 if settings.two_layers else layers
    return min(few, layers)


def _values(words: Words) -> int:
    """Return the values that one layer caches per token."""
    heads = _first(words, "num_attention_heads", "n_head")
    size = _first(words, "head_dim") or _width(words) // max(1, heads)
    return 2 * _kv_heads(words, heads) * size


def _kv_heads(words: Words, heads: int) -> int:
    if words.get("model_type") != "falcon":
        return _first(words, "num_key_value_heads", "num_kv_heads") or heads
    if words.get("new_decoder_architecture"):
        return _first(words, "num_kv_heads") or heads
    return 1 if words.get("multi_query", True) else heads


def _item_size(settings: Settings, words: Words) -> int:
    if settings.dtype == "int8":
        return 2  # everything that is not packed is bfloat16
    return ITEM_SIZES.get(_dtype(settings, words), 4)


def _dtype(settings: Settings, words: Words) -> str:
    own = words.get("dtype") or words.get("torch_dtype") or "float32"
    return str(own if settings.dtype == "auto" else settings.dtype)


def _width(words: Words) -> int:
    return _first(words, "hidden_size", "n_embd")


def _positions(words: Words) -> int:
    return _first(words, "max_position_embeddings", "n_positions") or POSITIONS


def _first(words: Words, *names: str) -> int:
    """Return the first number that a configuration has under these names; 0 if it has none."""
    return next((each for each in (_number(words, name) for name in names) if each), 0)


def _number(words: Words, name: str) -> int:
    value = words.get(name)
    return value if isinstance(value, int) else 0


def _is_embedding(name: str) -> bool:
    return any(each in name for each in ("embed", "wte", "wpe"))


def _up(number: int, to: int) -> int:
    return -(-number // to) * to
