"""An engine over a transformers model that was loaded in the same process."""

from functools import partial

from rowcast.engine.decoding.decoders import decoder_over, default_multiplier
from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.linear import Multiplier
from rowcast.engine.loading.loader import Loaded
from rowcast.engine.loading.vocabulary import read_token_texts
from rowcast.engine.torch_engine import ROWS, WIDEST, TorchEngine


def engine_over(
    name: str,
    loaded: Loaded,
    *,
    rows: int = ROWS,
    widest: int = WIDEST,
    multiplier: Multiplier | None = None,  # None: the fastest one
    llama: bool = True,  # if the model has the form for it
    arithmetic: Arithmetic = AUTO,  # of attention, and of the fastest multiplier
) -> TorchEngine:
    """Return an engine that takes over a loaded model."""
    facts = loaded.facts
    multiplier = multiplier or default_multiplier(facts.device, facts.dtype, arithmetic)
    decoder = decoder_over(loaded.model, facts, multiplier, llama=llama)
    token_texts = partial(read_token_texts, loaded.source, facts)
    memory = loaded.memory if rows == ROWS else None
    return TorchEngine(
        *(name, facts, decoder, token_texts),
        rows=rows,
        widest=widest,
        memory=memory,
        arithmetic=arithmetic,
    )
