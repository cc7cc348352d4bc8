"""Logits beside transformers': in fp32 within rounding, in bf16 as near to fp32 as its own are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.engine.measuring.gpu.driving import tokens_of
from rowcast.engine.measuring.gpu.models import SHAPES, engine_of, network
from rowcast.engine.measuring.gpu.report import Report
from rowcast.engine.torch_engine import TorchEngine

SINGLE, NO_WORSE = (
    1e-4,
    1.3,
)  # errors, as a part of the logits' spread; of ours, as a part of theirs


@torch.inference_mode()
def check(report: Report, name: str, tokens: int, context: int) -> None:
    """Compare one shape in both precisions."""
    shape, prompt = SHAPES[name], tokens_of(tokens, SHAPES[name].vocabulary)
    part = f"correctness, {name}"
    single = network(shape, torch.float32, report.device, context)
    exact = theirs(single, prompt)
    spread = float(exact.std())
    error = rms(ours(engine_of(single, shape, context, rows=2), prompt), exact) / spread
    report.verdict(
        part, "fp32 beside transformers", right=error < SINGLE, note=f"rms {error:.1e} of spread"
    )
    del single
    half = network(shape, torch.bfloat16, report.device, context)
    reference = network(shape, torch.bfloat16, report.device, context).float()
    exact = theirs(reference, prompt)
    del reference
    their_error = rms(theirs(half, prompt), exact)
    error = rms(ours(engine_of(half, shape, context, rows=2), prompt), exact)
    report.verdict(
        part,
        "bf16 beside transformers",
        right=error <= NO_WORSE * their_error,
        note=f"error {error / their_error:.3f} times transformers' own",
    )


def theirs(model: torch.nn.Module, prompt: Sequence[int]) -> Tensor:
    """Return transformers' logits at every position."""
    device = next(model.parameters()).device
    found: Tensor = model(torch.tensor([prompt], device=device), use_cache=False).logits[0]
    return found.float()


def ours(engine: TorchEngine, prompt: Sequence[int]) -> Tensor:
    """Return our logits, of a piece and then token by token at the end."""
    pieces, begin = [], 0
    for size in (len(prompt) - 3, 1, 1, 1):
        piece = prompt[begin : begin + size]
        places = range(begin, begin + size)
        found = engine.decoder.logits(piece, [1] * size, places, range(size))
        pieces.append(found.float().clone())
        begin += size
    return torch.cat(pieces)


def rms(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().mean().sqrt())
