"""Chooses how a loaded transformers model is decoded: as a Llama, or by its modules.

decoder_over(model, facts, multiplier)    DecoderMaker, for one engine: packing takes over the
                                          model's weights
form_on_gpu(model, facts, kernels)        the parts of a model that a GPU's own decoder takes
"""

import torch
from transformers import PreTrainedModel

from rowcast.engine.decoding.decoder import Decoder, DecoderMaker
from rowcast.engine.decoding.facts import Facts
from rowcast.engine.decoding.llama.decoder import llama_maker
from rowcast.engine.decoding.llama.gpu_parts import tensors_of
from rowcast.engine.decoding.llama.packed_parts import Packing, pack_model
from rowcast.engine.decoding.llama.shape import Form, read_form
from rowcast.engine.decoding.module_decoder import ModuleDecoder
from rowcast.engine.decoding.packed_modules import pack
from rowcast.engine.decoding.precision import PRECISIONS, packing_kernel
from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.attention import Attention
from rowcast.engine.kernels.attention_native import NativeAttention
from rowcast.engine.kernels.gpu.available import DTYPES, GpuKernels
from rowcast.engine.kernels.linear import KernelMultiplier, Multiplier, choose_multiplier
from rowcast.engine.kernels.linear_kernel import LinearKernel


def decoder_over(
    network: PreTrainedModel,
    facts: Facts,
    multiplier: Multiplier | None,  # None: torch's own layers multiply
    *,
    llama: bool = True,  # if the model has the form for it
    kernels: GpuKernels | None = None,  # of a GPU
) -> DecoderMaker:
    """Return the maker of the model's decoder."""
    on_gpu = form_on_gpu(network, facts, kernels) if llama else None
    if on_gpu is not None:
        return _gpu_maker(on_gpu, facts)

    def make(
        attention: Attention, cache: RowCache, most: int
    ) -> tuple[Decoder, LinearKernel | None]:
        if not isinstance(multiplier, KernelMultiplier):
            return _modules(network, multiplier, attention, cache), None
        kernel = multiplier.kernel
        form = read_form(network) if llama and isinstance(attention, NativeAttention) else None
        if form is None:
            return _modules(network, multiplier, attention, cache), kernel
        model = pack_model(form, Packing(kernel, multiplier.kind, facts.dtype, facts.context))
        return llama_maker(model, kernel, facts.context)(attention, cache, most)

    return make


def form_on_gpu(network: PreTrainedModel, facts: Facts, kernels: GpuKernels | None) -> Form | None:
    """Return the model's parts if the kernels of a GPU decode it, else None."""
    return read_form(network) if kernels is not None and facts.dtype in DTYPES else None


def _gpu_maker(form: Form, facts: Facts) -> DecoderMaker:
    # These need Triton.
    from rowcast.engine.decoding.llama.gpu_decoder import GpuLlamaDecoder  # noqa: PLC0415
    from rowcast.engine.kernels.gpu.attention import TritonAttention  # noqa: PLC0415
    from rowcast.engine.kernels.gpu.graphs import capture_for  # noqa: PLC0415

    def make(
        attention: Attention, cache: RowCache, most: int
    ) -> tuple[Decoder, LinearKernel | None]:
        if not isinstance(attention, TritonAttention):
            raise TypeError(f"{attention.name} is no attention of a GPU")
        model = tensors_of(form, facts.dtype, facts.context)
        capture = capture_for(facts.device)
        return GpuLlamaDecoder(model, attention, cache, most=most, capture=capture), None

    return make


def packing_multiplier(
    name: str, device: torch.device, threads: int, arithmetic: Arithmetic = AUTO
) -> KernelMultiplier | None:
    """Return the multiplier for a precision with packed weights; None for other precisions."""
    kind = PRECISIONS[name].weights
    kernel = packing_kernel(name, device, threads, arithmetic)
    return None if kind is None or kernel is None else KernelMultiplier(kernel, kind)


def default_multiplier(
    device: torch.device, dtype: torch.dtype, arithmetic: Arithmetic = AUTO
) -> Multiplier | None:
    """Return the multiplier for a CPU; None elsewhere: torch's own layers multiply."""
    if device.type != "cpu" or dtype not in {torch.float32, torch.bfloat16}:
        return None
    return choose_multiplier(dtype, torch.get_num_threads(), arithmetic)


def _modules(
    network: PreTrainedModel, multiplier: Multiplier | None, attention: Attention, cache: RowCache
) -> ModuleDecoder:
    if multiplier is not None:
        pack(network, multiplier)
        if isinstance(multiplier, KernelMultiplier) and isinstance(attention, NativeAttention):
            attention.borrow(multiplier.kernel.thread_pool)
        _let_go_of_files(network)
    arithmetic = f"{attention.name} {multiplier.name if multiplier else 'torch'}"
    return ModuleDecoder(network, cache, arithmetic)


def _let_go_of_files(model: torch.nn.Module) -> None:
    """Copy the remaining weights: one view of a mapped file keeps the whole file in memory."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
