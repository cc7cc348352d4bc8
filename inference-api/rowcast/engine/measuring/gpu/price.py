"""The price of purity: a step's products and attention, beside torch's own kernels for them.

Both sides run all layers in turn, so that weights come from memory, as they do in a step, and as
one graph each, so that launches cost alike. Above 1: torch is faster by that factor.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from rowcast.engine.kernels.gpu.attention import TritonAttention
from rowcast.engine.kernels.gpu.graphs import capture_for
from rowcast.engine.kernels.gpu.linear import linear
from rowcast.engine.measuring.gpu.clock import seconds
from rowcast.engine.measuring.gpu.models import Shape
from rowcast.engine.measuring.gpu.report import Report

HELD = 512


@torch.inference_mode()
def check(report: Report, name: str, shape: Shape, token_counts: tuple[int, ...]) -> None:
    """Measure both for steps of so many tokens."""
    for tokens in token_counts:
        ours, theirs = products(shape, tokens, report.device)
        _write(report, name, f"products of {tokens} tokens", ours, theirs)
    ours, theirs = attention(shape, report.device, min(32, max(token_counts)))
    _write(report, name, f"attention of decoding rows at {HELD}", ours, theirs)


def _write(report: Report, name: str, what: str, ours: float, theirs: float) -> None:
    note = f"{ours * 1e3:.3f} ms, torch {theirs * 1e3:.3f} ms"
    report.figure(f"price, {name}", what, ours / theirs, "times torch's time", note)


def products(shape: Shape, tokens: int, device: torch.device) -> tuple[float, float]:
    """Return the time of all layers' products by our kernel, and by torch's."""
    width = shape.heads * shape.head
    sizes = (
        (width + 2 * shape.kv_heads * shape.head, shape.hidden),
        (shape.hidden, width),
        (2 * shape.inner, shape.hidden),
        (shape.hidden, shape.inner),
    )
    states = {inputs: torch.randn(tokens, inputs, device=device).bfloat16() for _, inputs in sizes}
    weights = [
        torch.randn(*size, device=device).bfloat16() for _ in range(shape.layers) for size in sizes
    ]

    def all_by(product: Callable[[Tensor, Tensor], Tensor]) -> float:
        def run() -> None:
            for weight in weights:
                product(states[weight.shape[1]], weight)

        return seconds(capture_for(device)(run), device)

    return all_by(linear), all_by(functional.linear)


def attention(shape: Shape, device: torch.device, rows: int) -> tuple[float, float]:
    """Return the time of all layers' attention for one token of each row, ours and torch's."""
    caches = [
        torch.randn(rows, shape.kv_heads, HELD, shape.head, device=device).bfloat16()
        for _ in range(2 * shape.layers)
    ]
    pairs = list(zip(caches[::2], caches[1::2], strict=True))
    query = torch.randn(rows, shape.heads, shape.head, device=device).bfloat16()
    row = torch.arange(rows, dtype=torch.int32, device=device)
    position = torch.full_like(row, HELD - 1)
    kernel = TritonAttention()

    def ours() -> None:
        for keys, values in pairs:
            kernel.attend(query, keys, values, row, position, scale=0.125)

    def theirs() -> None:
        for keys, values in pairs:
            functional.scaled_dot_product_attention(
                query[:, :, None], keys, values, scale=0.125, enable_gqa=True
            )

    capture = capture_for(device)
    return seconds(capture(ours), device), seconds(capture(theirs), device)
