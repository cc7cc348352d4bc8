"""An engine over a transformers model that was loaded in the same process."""

from functools import partial

from rowcast.engine.decoding.decoders import decoder_over, default_multiplier, form_on_gpu
from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.gpu.available import GpuKernels, gpu_kernels
from rowcast.engine.kernels.linear import Multiplier
from rowcast.engine.loading.loader import Loaded
from rowcast.engine.loading.vocabulary import read_token_texts
from rowcast.engine.torch_engine import ROWS, WIDEST, WIDEST_ON_GPU, TorchEngine


def engine_over(
    name: str,
    loaded: Loaded,
    *,
    rows: int = ROWS,
    widest: int = 0,  # 0: as suits the decoder
    multiplier: Multiplier | None = None,  # None: the fastest one
    llama: bool = True,  # if the model has the form for it
    arithmetic: Arithmetic = AUTO,  # of attention, and of the fastest multiplier
    kernels: GpuKernels | None = None,  # None: those of the model's device, if it is a GPU
) -> TorchEngine:
    """Return an engine that takes over a loaded model."""
    facts = loaded.facts
    kernels = kernels or gpu_kernels(facts.device)
    on_gpu = llama and form_on_gpu(loaded.model, facts, kernels) is not None
    multiplier = multiplier or default_multiplier(facts.device, facts.dtype, arithmetic)
    decoder = decoder_over(loaded.model, facts, multiplier, llama=llama, kernels=kernels)
    token_texts = partial(read_token_texts, loaded.source, facts)
    memory = loaded.memory if rows == ROWS else None
    widest = widest or (min(WIDEST_ON_GPU, rows * facts.context) if on_gpu else WIDEST)
    return TorchEngine(
        *(name, facts, decoder, token_texts),
        rows=rows,
        widest=widest,
        memory=memory,
        arithmetic=arithmetic,
        kernels=kernels,
    )
