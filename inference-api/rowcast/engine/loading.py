"""Loads a model: from a folder or a hub id, or one layer of random weights without any download.

Before a weight is read, a pass over tensors without data tells what the KV cache and the weights
will take, and a model that does not fit is refused with the arithmetic shown. What comes out is a
transformers model in evaluation mode, bound to nothing yet, and what it keeps of each token.
"""

import copy
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from rowcast.engine import architectures
from rowcast.engine.kernels.linear_kernel import Kind
from rowcast.engine.packing import packed_bytes
from rowcast.engine.row_cache import LayerShape, ShapeRecorder, cache_bytes
from rowcast.errors import RowcastError, UnknownModel

_log = logging.getLogger("rowcast.loading")

EXPERTS = "batched_mm"  # each token on its own: grouping tokens by expert would mix company in
SAMPLED = 4096  # bytes of each tensor that enter the fingerprint
MEBIBYTE = 1 << 20


class DoesNotFit(RowcastError):
    """Weights and cache need more memory than there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """What to load, and how."""

    model: str
    dtype: torch.dtype | None  # None: the model's own
    device: torch.device
    context: int  # 0: as long as the model's own
    rows: int
    weights: Kind | None = None  # what linear layers' weights will be packed as; None: `dtype`
    layers: int = 0  # 0: all; else the first so many
    random: bool = False  # random weights, no download


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, and what the engine must know of it."""

    model: PreTrainedModel
    shapes: Mapping[int, LayerShape]
    context: int
    end_tokens: frozenset[int]
    digest: str  # of configuration and weights


def load(source: ModelSource) -> Loaded:
    """The model, in evaluation mode on its device."""
    config = _configuration(source)
    architectures.check(config)
    context = _context(config, source.context)
    dtype = source.dtype or config.dtype or torch.float32
    shapes, weights = _measure(config, dtype, source.weights)
    _check_memory(source, shapes, weights, context, dtype)
    model = _weights(source, config, dtype)
    model.eval()
    model.requires_grad_(requires_grad=False)
    return Loaded(model, shapes, context, _end_tokens(model), _digest(model))


def _configuration(source: ModelSource) -> PreTrainedConfig:
    try:
        config = AutoConfig.from_pretrained(source.model)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UnknownModel(f"MODEL {source.model!r} cannot be read: {reason}") from error
    config = config.get_text_config()
    config._experts_implementation = EXPERTS  # noqa: SLF001  # there is no public way before loading
    if source.layers:
        config.num_hidden_layers = min(source.layers, config.num_hidden_layers)
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: config.num_hidden_layers]
    return config


def _context(config: PreTrainedConfig, wanted: int) -> int:
    own = int(getattr(config, "max_position_embeddings", 0) or 2048)
    return min(own, wanted) if wanted else own


def _measure(
    config: PreTrainedConfig, dtype: torch.dtype, kind: Kind | None
) -> tuple[dict[int, LayerShape], int]:
    """What each layer keeps of a token, and the bytes of all weights, from tensors without data."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=dtype)
    recorder = ShapeRecorder()
    architectures.bind(model, recorder)
    tokens = torch.zeros(1, 2, dtype=torch.long, device="meta")
    model(input_ids=tokens, position_ids=tokens, past_key_values=recorder, use_cache=True)
    if kind is not None:
        return recorder.shapes, packed_bytes(model, kind)
    return recorder.shapes, sum(each.numel() * each.itemsize for each in model.parameters())


def _check_memory(
    source: ModelSource,
    shapes: Mapping[int, LayerShape],
    weights: int,
    context: int,
    dtype: torch.dtype,
) -> None:
    cache = cache_bytes(shapes, source.rows, context, dtype)
    free = _free_memory(source.device)
    arithmetic = (
        f"weights {weights / MEBIBYTE:,.0f} MiB + KV cache {cache / MEBIBYTE:,.0f} MiB "
        f"({source.rows} rows x {context} positions x "
        f"{sum(shape.values for shape in shapes.values())} values x {dtype.itemsize} bytes)"
    )
    if weights + cache > free:
        raise DoesNotFit(
            f"{source.model} does not fit: {arithmetic} = {(weights + cache) / MEBIBYTE:,.0f} MiB; "
            f"free are {free / MEBIBYTE:,.0f} MiB. Set CONTEXT_LENGTH lower or DTYPE smaller."
        )
    _log.info("memory %s free=%.0f MiB", arithmetic, free / MEBIBYTE)


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = Path("/proc/meminfo").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
    return int(kibibytes) * 1024


def _weights(source: ModelSource, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    if source.random:
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=dtype).to(source.device)
    model = AutoModelForCausalLM.from_pretrained(source.model, config=config, dtype=dtype)
    return model.to(source.device)


def _end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """The generation configuration's ends of text, else the model's."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    if ends is None:
        ends = model.config.eos_token_id
    return frozenset([ends] if isinstance(ends, int) else ends or [])


def _digest(model: PreTrainedModel) -> str:
    """Tells one set of weights from another without reading all of it."""
    digest = hashlib.sha256(model.config.to_json_string(use_diff=False).encode())
    for name, weight in model.named_parameters():
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(_sample(weight))
    return digest.hexdigest()[:16]


def _sample(weight: Tensor) -> bytes:
    flat = weight.detach().reshape(-1).view(torch.uint8)
    return bytes(torch.cat([flat[:SAMPLED], flat[-SAMPLED:]]).cpu().numpy())
