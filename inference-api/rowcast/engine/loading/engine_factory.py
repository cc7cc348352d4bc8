"""Prepares a model in the process that forks backends, so that a backend is replaced quickly.

    settings, files ──▶ prepare ──▶ what a fork calls to get its engine

Models of the Llama form on a CPU are packed in another process, or mapped as an image, and kept
here packed: forks share them, and need neither transformers nor the files. Each fork loads other
models itself, with transformers already imported here. Nothing computes here: a fork of a process
with threads would hang.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from rowcast.engine.decoding.llama.decoder import llama_maker
from rowcast.engine.decoding.llama.model import MODEL_TYPES
from rowcast.engine.decoding.precision import PRECISIONS, packing_kernel
from rowcast.engine.kernels.arithmetic import Arithmetic, choose_arithmetic
from rowcast.engine.kernels.gpu.available import FORKABLE, need_triton
from rowcast.engine.kernels.linear_kernel import LinearKernel, choose_linear
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.engine.loading.images.image import BadImage
from rowcast.engine.loading.images.image_cache import cached_image
from rowcast.engine.loading.images.image_format import MadeOf, Stored
from rowcast.engine.loading.images.image_source import Order, obtain
from rowcast.engine.loading.memory import Cache, fit
from rowcast.engine.loading.sizes import check_configuration, check_weights
from rowcast.engine.loading.source import ModelSource, fitting_context
from rowcast.engine.loading.source_files import CONFIGURATION, configuration_digest, weights_digest
from rowcast.engine.loading.subprocess_call import in_subprocess
from rowcast.engine.loading.vocabulary import read_token_texts
from rowcast.engine.torch_engine import ROWS, TorchEngine
from rowcast.model_files import ModelFiles, files_of
from rowcast.settings import ONE_LAYER, Settings

Engines = Callable[[], TorchEngine]

GENERATION = "generation_config.json"
IMAGES = "tti_cache"  # below MODEL_ROOT
CPU = torch.device("cpu")
KINDS: dict[str, Kind] = {"float32": "fp32", "bfloat16": "bf16", "int8": "int8"}


def prepare(settings: Settings) -> Engines:
    """Return the maker of the engine of the model that the settings name."""
    device = _device(settings.device)
    _check_kernel(settings, device)
    if settings.served_model == ONE_LAYER:
        _refuse_image(settings, "the model that needs no file")
        return _by_modules(settings, device, ONE_LAYER)
    files = files_of(settings)
    words = files.words(CONFIGURATION)
    check_configuration(settings.served_model, words)
    if device.type == "cpu" and words.get("model_type") in MODEL_TYPES:
        stored = _packed(settings, files, _precision(settings, words))
        if stored is not None:
            return _over_packed(settings, files, stored)
    _refuse_image(settings, f"MODEL {settings.served_model!r} on this machine")
    return _by_modules(settings, device, str(_folder(settings, files)))


def _check_kernel(settings: Settings, device: torch.device) -> None:
    """Fail now if a kernel that the settings require is missing."""
    arithmetic = choose_arithmetic(settings.arithmetic)
    packing_kernel(settings.dtype, device, 1, arithmetic)
    if arithmetic.chosen and device.type == "cpu":
        choose_linear(1, arithmetic=arithmetic)


def save_image(settings: Settings) -> Path:
    """Save the packed weights of a model on a CPU, as SAVE_IMAGE does; return the image's path."""
    files = files_of(settings)
    words = files.words(CONFIGURATION)
    check_configuration(settings.served_model, words)
    path = _image_path(settings)
    if path is None or words.get("model_type") not in MODEL_TYPES:
        _refuse_image(settings, f"MODEL {settings.served_model!r}")
    if path is None or _packed(settings, files, _precision(settings, words)) is None:
        raise BadImage(
            f"MODEL {settings.served_model!r} cannot be packed in {settings.dtype}: no C kernel "
            "for it runs on this machine; int8 needs least of a processor"
        )
    return path


def _device(wanted: str) -> torch.device:
    """Resolve `auto` in another process: a fork of one that has looked for a GPU cannot use it."""
    if wanted == "auto":
        wanted = "cpu"
        if torch.version.cuda is not None:
            with in_subprocess(torch.cuda.is_available, "device") as probe:
                wanted = "cuda" if probe.result() else "cpu"
    device = torch.device(wanted)
    need_triton(device)
    if device.type == "cuda":
        os.environ.update(FORKABLE)
    return device


def _precision(settings: Settings, words: dict[str, Any]) -> str:
    """Return the precision in DTYPE's terms; for `auto`, the model's own."""
    if settings.dtype != "auto":
        return settings.dtype
    return str(words.get("dtype") or words.get("torch_dtype") or "float32")


def _folder(settings: Settings, files: ModelFiles) -> Path:
    """Return the folder of all files that will be read, fetching them if necessary."""
    few = settings.no_weights or (settings.load_image and not settings.save_image)
    configuration = files.find(CONFIGURATION) if few else None
    folder = configuration.parent if configuration else files.folder()
    if not configuration:
        check_weights(settings.served_model, folder)
    # transformers ignores one that it cannot read, and then uses other ends of text
    ModelFiles(files.model, folder, None).words(GENERATION)
    return folder


def _packed(settings: Settings, files: ModelFiles, precision: str) -> Stored | None:
    """Return packed weights, from an image or new; None if the Llama decoder cannot serve them."""
    arithmetic = choose_arithmetic(settings.arithmetic)
    kind, kernel = KINDS.get(precision), _kernel(precision, 1, arithmetic)
    if kind is None or kernel is None:
        return None
    folder = _folder(settings, files)
    made_of = MadeOf(
        configuration=configuration_digest(folder),
        weights="random" if settings.no_weights else weights_digest(folder),
        precision=precision,
        layers=_layers(settings),
        kernel=kernel.name,
    )

    def write(file: BinaryIO) -> bool:
        # Imported here, in another process: its memory is freed with that process.
        from rowcast.engine.loading.images.packer import Packer  # noqa: PLC0415

        source = replace(_source(settings, str(folder), CPU), mapped=True)
        return Packer(source, kernel, kind, made_of).write(file)

    requested = _image_path(settings)
    cached = None if requested or settings.no_weights else cached_image(folder, made_of)
    return obtain(
        Order(
            model=settings.served_model,
            folder=folder,
            made_of=made_of,
            write=write,
            image=requested or cached,
            save=settings.save_image,
            load=settings.load_image,
            automatic=cached is not None,
        )
    )


def _over_packed(settings: Settings, files: ModelFiles, stored: Stored) -> Engines:
    """Return the maker of engines over the same packed weights."""
    facts = stored.facts
    context = fitting_context(settings.context_length, facts.positions)
    cache = Cache(facts.shapes, ROWS, context, facts.dtype)
    fitted = fit(
        *(settings.served_model, 0, cache, facts.device),
        wanted=settings.kv_memory,
        prefixes=settings.prefix_memory,
    )
    facts = replace(facts, context=fitted.context)
    token_texts = partial(read_token_texts, str(_folder(settings, files)), facts)
    arithmetic = choose_arithmetic(settings.arithmetic)

    def make() -> TorchEngine:
        kernel = _kernel(stored.made_of.precision, torch.get_num_threads(), arithmetic)
        # The kernels have their own threads, and torch's would keep spinning alongside them.
        torch.set_num_threads(1)
        decoder = llama_maker(stored.model, kernel, facts.context)
        return TorchEngine(
            *(settings.served_name, facts, decoder, token_texts),
            memory=fitted.memory,
            arithmetic=arithmetic,
        )

    return make


def _by_modules(settings: Settings, device: torch.device, model: str) -> Engines:
    """Return the maker of engines that each read the weights."""
    # Imported once, here, so that each fork serves soon.
    from rowcast.engine.decoding.decoders import packing_multiplier  # noqa: PLC0415
    from rowcast.engine.loading.loaded_engine import engine_over  # noqa: PLC0415
    from rowcast.engine.loading.loader import load  # noqa: PLC0415

    source = _source(settings, model, device)
    arithmetic = choose_arithmetic(settings.arithmetic)

    def make() -> TorchEngine:
        threads = torch.get_num_threads()
        multiplier = packing_multiplier(settings.dtype, device, threads, arithmetic)
        engine = engine_over(
            settings.served_name, load(source), multiplier=multiplier, arithmetic=arithmetic
        )
        if engine.has_threads:
            torch.set_num_threads(1)  # torch's would keep spinning alongside them
        return engine

    return make


def _kernel(precision: str, threads: int, arithmetic: Arithmetic) -> LinearKernel | None:
    """Return the kernel for packed weights. With one thread it starts none and can be forked."""
    if precision in PRECISIONS and (kernel := packing_kernel(precision, CPU, threads, arithmetic)):
        return kernel
    return choose_linear(threads, arithmetic=arithmetic)


def _source(settings: Settings, model: str, device: torch.device) -> ModelSource:
    precision = PRECISIONS[settings.dtype]
    return ModelSource(
        model=model,
        dtype=precision.states,
        weights=precision.weights,
        device=device,
        context=settings.context_length,
        memory=settings.kv_memory,
        gpu_memory=settings.gpu_memory,
        rows=ROWS,
        prefixes=settings.prefix_memory,
        layers=_layers(settings),
        random=settings.no_weights,
    )


def _layers(settings: Settings) -> int:
    return 1 if settings.no_weights else 2 if settings.two_layers else 0


def _image_path(settings: Settings) -> Path | None:
    """Return the path of the image; None if none is wanted."""
    if not (settings.save_image or settings.load_image):
        return None
    if settings.model_root is None:
        raise BadImage("images are stored below MODEL_ROOT: set it")
    suffix = f"-{settings.image_suffix}" if settings.image_suffix else ""
    return settings.model_root / IMAGES / f"{settings.short_name}{suffix}.image"


def _refuse_image(settings: Settings, what: str) -> None:
    if settings.save_image or settings.load_image:
        raise BadImage(
            f"{what} cannot be stored as an image: only models of the Llama form "
            f"({', '.join(MODEL_TYPES)}) in float32, bfloat16 or int8 can be, where the C kernels "
            "run; unset SAVE_IMAGE and LOAD_IMAGE"
        )
