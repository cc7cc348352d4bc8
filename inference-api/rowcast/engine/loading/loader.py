"""Loads a transformers model: from a folder, or with random weights of a configuration's shape.

Before any weight is read, a pass over tensors without data computes the memory of the KV cache and
the weights; a model that does not fit is refused, and the error shows the arithmetic. Weights are
views of their mapped files. The result is a model in evaluation mode, not yet bound to a cache, and
its `Facts`. Any fault of the files is reported in one sentence.
"""

import copy
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from rowcast.engine.decoding import module_attention
from rowcast.engine.decoding.classifier import as_causal
from rowcast.engine.decoding.facts import Facts
from rowcast.engine.decoding.flat_cache import ShapeRecorder
from rowcast.engine.decoding.packed_modules import packed_bytes
from rowcast.engine.decoding.row_cache import LayerShape
from rowcast.engine.engine import CacheMemory
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.engine.loading import architectures
from rowcast.engine.loading.memory import Cache, GpuMemory, fit
from rowcast.engine.loading.source import ModelSource, fitting_context
from rowcast.engine.one_layer import one_layer_configuration, one_layer_generation
from rowcast.errors import RowcastError, UnknownModel
from rowcast.model_files import labels_in
from rowcast.settings import ONE_LAYER

_log = logging.getLogger("rowcast.loading")

EXPERTS = "batched_mm"  # if torch multiplies: computes each token independently
SAMPLED = 4096  # bytes of each tensor that enter the fingerprint
POSITIONS = 2048  # for a model that does not specify them
UNHEEDED = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "no_repeat_ngram_size",
    "sequence_bias",
)
NO_CODE = {"trust_remote_code": False}  # None would prompt on the terminal


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, and what the engine must know about it."""

    model: PreTrainedModel
    facts: Facts
    source: str  # its folder, or ONE_LAYER
    memory: CacheMemory


def load(source: ModelSource) -> Loaded:
    """Return the model, in evaluation mode on its device."""
    with _refusing(f"MODEL {source.model!r} cannot be loaded"):
        return _load(source)


def _load(source: ModelSource) -> Loaded:
    _quieten()
    config = _configuration(source)
    architectures.check(config)
    positions = int(getattr(config, "max_position_embeddings", 0) or POSITIONS)
    context = fitting_context(source.context, positions)
    dtype = source.dtype or config.dtype or torch.float32
    with _refusing(f"config.json of MODEL {source.model!r} describes no valid model"):
        shapes, weights = _measure(config, dtype, source.weights)
    cache = Cache(shapes, source.rows, context, dtype)
    fitted = fit(
        *(source.model, weights, cache, source.device),
        wanted=source.memory,
        prefixes=source.prefixes,
        gpu=GpuMemory(source.gpu_memory, fixed=source.context > 0),
    )
    model = _weights(source, config, dtype)
    model.eval()
    model.requires_grad_(requires_grad=False)
    generation = model.generation_config
    facts = Facts(
        shapes=shapes,
        context=fitted.context,
        positions=positions,
        vocabulary=config.vocab_size,
        dtype=dtype,
        device=source.device,
        end_tokens=_end_tokens(model),
        suppressed=_suppressed(generation, config.vocab_size),
        digest=_digest(model),
    )
    return Loaded(model, facts, source.model, fitted.memory)


def _quieten() -> None:
    """Keep progress bars and transformers' advice out of the log."""
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()


def _configuration(source: ModelSource) -> PreTrainedConfig:
    if source.model == ONE_LAYER:
        return one_layer_configuration()
    with _refusing(f"MODEL {source.model!r} cannot be read"):
        config = AutoConfig.from_pretrained(source.model, **NO_CODE)
    if getattr(config, "quantization_config", None) and not source.random:
        raise UnknownModel(
            f"MODEL {source.model!r} has quantized weights, which are not supported: "
            "use the model without quantization"
        )
    config = config.get_text_config()
    if _is_classifier(config):
        config.tie_word_embeddings = True  # its language head, which is never used
    config._experts_implementation = EXPERTS  # noqa: SLF001  # there is no public way before loading
    if source.layers:
        config.num_hidden_layers = min(source.layers, config.num_hidden_layers)
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: config.num_hidden_layers]
    return config


def _measure(
    config: PreTrainedConfig, dtype: torch.dtype, kind: Kind | None
) -> tuple[dict[int, LayerShape], int]:
    """Return each layer's cache per token, and the bytes of all weights, from empty tensors."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=dtype, **NO_CODE)
    recorder = ShapeRecorder()
    module_attention.bind(model, recorder)
    tokens = torch.zeros(1, 2, dtype=torch.long, device="meta")
    model(input_ids=tokens, position_ids=tokens, past_key_values=recorder, use_cache=True)
    if kind is not None:
        return recorder.shapes, packed_bytes(model, kind)
    return recorder.shapes, sum(each.numel() * each.itemsize for each in model.parameters())


def _weights(source: ModelSource, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    started = time.monotonic()
    model = _random(source, config, dtype) if source.random else _read(source, config, dtype)
    _log.info("weights model=%s seconds=%.1f", source.model, time.monotonic() - started)
    return model.to(source.device)


def _random(source: ModelSource, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """Return the same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _kind_of(config).from_config(config, dtype=dtype, **NO_CODE)
    if _is_classifier(config):
        return as_causal(model)
    if source.model == ONE_LAYER:
        model.generation_config = one_layer_generation()
    elif Path(source.model, "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(source.model)
    return model


def _read(source: ModelSource, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    with _refusing(f"the weights of MODEL {source.model!r} cannot be read"):
        model, found = _kind_of(config).from_pretrained(
            source.model,
            config=config,
            dtype="auto" if source.mapped else dtype,
            output_loading_info=True,
            use_safetensors=True,
            **NO_CODE,
        )
    if missing := sorted(found["missing_keys"]):
        raise UnknownModel(
            f"the weights of MODEL {source.model!r} are incomplete: {len(missing)} tensors are "
            f"missing, such as {missing[0]}; download the model again"
        )
    return as_causal(model) if _is_classifier(config) else model


def _is_classifier(config: PreTrainedConfig) -> bool:
    return labels_in({"architectures": config.architectures}) > 0


def _kind_of(config: PreTrainedConfig) -> Any:
    """Return the class whose models the files describe."""
    return AutoModelForSequenceClassification if _is_classifier(config) else AutoModelForCausalLM


@contextmanager
def _refusing(problem: str) -> Iterator[None]:
    """Turn a library's error about a model's files into one sentence; log it all for debugging."""
    try:
        yield
    except (RowcastError, MemoryError):
        raise
    except Exception as error:  # three libraries may raise anything if files are not as they expect
        _log.debug("%s", problem, exc_info=True)
        raise UnknownModel(f"{problem}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """Return an error as one line: its first, and the one that it announces."""
    first, *rest = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {rest[0].strip()}" if rest and first.endswith(":") else first


def _end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Return the end-of-text tokens of the generation configuration, else of the model."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    if ends is None:
        ends = model.config.eos_token_id
    return frozenset(_token_ids("eos_token_id", [ends] if isinstance(ends, int) else ends or []))


def _suppressed(generation: GenerationConfig | None, vocabulary: int) -> tuple[int, ...]:
    """Return the tokens that the model's own configuration suppresses."""
    listed = getattr(generation, "suppress_tokens", None) or []
    if unheeded := [name for name in UNHEEDED if getattr(generation, name, None)]:
        _log.warning("generation_config not_heeded=%s", ",".join(unheeded))
    known = _token_ids("suppress_tokens", listed)
    return tuple(token for token in known if 0 <= token < vocabulary)


def _token_ids(name: str, listed: object) -> list[int]:
    """Return the listed token ids; raise UnknownModel if they are something else."""
    if not isinstance(listed, list) or not all(type(token) is int for token in listed):
        raise UnknownModel(f"{name} of the model is {str(listed)[:40]!r}; it must list token ids")
    return listed


def _digest(model: PreTrainedModel) -> str:
    """Return a digest that identifies the weights without reading all of them."""
    words = model.config.to_dict()
    words.pop("_name_or_path", None)  # where the files are
    digest = hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode())
    for name, weight in model.named_parameters():
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(_sample(weight))
    return digest.hexdigest()[:16]


def _sample(weight: Tensor) -> bytes:
    flat = weight.detach().reshape(-1).view(torch.uint8)
    return bytes(torch.cat([flat[:SAMPLED], flat[-SAMPLED:]]).cpu().numpy())
