"""Chooses how a loaded transformers model is decoded: lean if it has the form, else by modules.

decoding(load(source)) ──▶ DecoderMaker, for one engine: packing takes over the model's weights
"""

from functools import partial

import torch

from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.decoding.llama.decoder import LeanDecoder
from rowcast.engine.decoding.llama.packing import Packing, pack_model
from rowcast.engine.decoding.llama.shape import read_form
from rowcast.engine.decoding.module_decoder import ModuleDecoder
from rowcast.engine.decoding.module_packing import pack
from rowcast.engine.decoding.precision import PRECISIONS, packing_kernel
from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.attention_native import NativeAttention, Threads
from rowcast.engine.kernels.linear import (
    KernelMultiplier,
    Multiplier,
    choose_multiplier,
)
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.loading.loader import Loaded
from rowcast.engine.loading.vocabulary import speech_of
from rowcast.engine.torch_engine import ROWS, WIDEST, TorchEngine


def engine_over(
    name: str,
    loaded: Loaded,
    *,
    rows: int = ROWS,
    widest: int = WIDEST,
    multiplier: Multiplier | None = None,  # None: the fastest one
    lean: bool = True,  # if the model has the form for it
) -> TorchEngine:
    """Return an engine that takes over a loaded model."""
    facts = loaded.facts
    multiplier = multiplier or default_multiplier(facts.device, facts.dtype)

    kernel = multiplier.kernel if isinstance(multiplier, KernelMultiplier) else None

    def decoder(
        attention: Attention, cache: RowCache, most: int
    ) -> tuple[Decoder, LinearKernel | None]:
        found = _lean(loaded, multiplier, attention, cache, most) if lean else None
        return found or _modules(loaded, multiplier, attention, cache), kernel

    speech = partial(speech_of, loaded.source, facts)
    return TorchEngine(name, facts, decoder, speech, rows=rows, widest=widest)


def packing_multiplier(name: str, device: torch.device, threads: int) -> KernelMultiplier | None:
    """Return the multiplier for a precision with packed weights; None for other precisions."""
    kind, kernel = PRECISIONS[name].weights, packing_kernel(name, device, threads)
    return None if kind is None or kernel is None else KernelMultiplier(kernel, kind)


def default_multiplier(device: torch.device, dtype: torch.dtype) -> Multiplier | None:
    """Return the multiplier for a CPU; None elsewhere: torch's own layers multiply."""
    if device.type != "cpu" or dtype not in {torch.float32, torch.bfloat16}:
        return None
    return choose_multiplier(dtype, torch.get_num_threads())


def _lean(
    loaded: Loaded,
    multiplier: Multiplier | None,
    attention: Attention,
    cache: RowCache,
    most: int,
) -> LeanDecoder | None:
    """Return the lean decoder, if both kernels run and the model has the form."""
    if not isinstance(multiplier, KernelMultiplier) or not isinstance(attention, NativeAttention):
        return None
    form, context = read_form(loaded.model), loaded.facts.context
    if form is None:
        return None
    kernel = multiplier.kernel
    model = pack_model(form, Packing(kernel, multiplier.kind, loaded.facts.dtype, context))
    return LeanDecoder(model, kernel, attention, cache, context=context, most=most)


def _modules(
    loaded: Loaded, multiplier: Multiplier | None, attention: Attention, cache: RowCache
) -> ModuleDecoder:
    if multiplier is not None:
        pack(loaded.model, multiplier)
        if isinstance(multiplier, KernelMultiplier) and isinstance(attention, NativeAttention):
            kernel = multiplier.kernel
            attention.borrow(
                Threads(kernel.threads, kernel.share.value or 0, kernel.crew.value or 0)
            )
        _let_go_of_files(loaded.model)
    arithmetic = f"{attention.name} {multiplier.name if multiplier else 'torch'}"
    return ModuleDecoder(loaded.model, cache, arithmetic)


def _let_go_of_files(model: torch.nn.Module) -> None:
    """Copy the remaining weights: one view of a mapped file keeps the whole file in memory."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
