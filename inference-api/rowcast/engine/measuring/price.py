"""Prints the price of purity: a real step, next to one that may choose any product and width.

    python -m rowcast.engine.measuring.price MODEL [DTYPE]

Llama decoders pay when torch's product of this many rows is faster than ours; the possible gain is
measured product by product, and subtracted from the step. Modules over oneDNN, used where our
kernels do not run, pay for the slots that fill a step up to a width that the probe trusts. One
token per row at one position; medians of the clock. Purity itself is checked by tests, not here.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.decoding.llama.decoder import LlamaDecoder
from rowcast.engine.decoding.precision import PRECISIONS
from rowcast.engine.kernels.linear import Multiplier, OneDnnMultiplier
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.packed_weight import Packed
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine

TOKENS = (1, 8, 32, 128)  # per step; all but the last are rows that decode
FILLED_UP = (1, 5, 8, 20, 32)
ROWS, WIDEST, CONTEXT, POSITION = 32, 128, 256, 128
THREADS = 2
LEAST, SECONDS, PAUSE = 9, 0.3, 0.3  # runs per figure, their time, and the pause before it

Shape = tuple[int, int]
Run = Callable[[], object]


def median(run: Run) -> float:
    """Return the median in seconds, after one run that does not count."""
    run()
    times: list[float] = []
    while len(times) < LEAST or sum(times) < SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step(decoder: Decoder, tokens: int, width: int = 0) -> Run:
    """Return a step with one token per row, or many of one row; blank slots up to `width`."""
    each = list(range(tokens))
    blank = max(width - tokens, 0)
    rows = each if tokens <= ROWS else [0] * tokens
    places = [POSITION] * tokens if tokens <= ROWS else each
    wanted = each if tokens <= ROWS else [tokens - 1]

    @torch.inference_mode()
    def run() -> Tensor:
        slots = ([5] * tokens + [0] * blank, rows + [-1] * blank, places + [0] * blank)
        return decoder.logits(*slots, wanted)

    return run


def savings(kernel: LinearKernel, products: Sequence[Packed], tokens: int) -> float:
    """Return the seconds that a step would save by using torch's products if they are faster."""
    groups: dict[Shape, list[Packed]] = defaultdict(list)
    for packed in products:
        groups[packed.outputs, packed.inputs].append(packed)
    return sum(max(0.0, _ours_more(kernel, group, tokens)) for group in groups.values())


@torch.inference_mode()
def _ours_more(kernel: LinearKernel, group: Sequence[Packed], tokens: int) -> float:
    """Return how much longer our products take than torch's for all layers of one shape."""
    first = group[0]
    states = torch.randn(tokens, first.inputs).to(first.reads[0])
    weight = torch.randn(first.outputs, first.inputs).to(states.dtype)
    others = [OneDnnMultiplier().pack([weight], None) for _ in group]
    torch.set_num_threads(THREADS)
    theirs = median(lambda: [product(states) for product in others])
    torch.set_num_threads(1)
    time.sleep(PAUSE)  # torch's threads keep spinning for a while
    return median(lambda: [kernel.linear(states, packed) for packed in group]) - theirs


def print_llama(model: str, dtype: str) -> None:
    """Print the Llama decoder's price."""
    engine = _engine(model, dtype, None)
    decoder = engine.decoder
    if not isinstance(decoder, LlamaDecoder):
        print(f"{model} is not served by the Llama decoder here")
        return
    torch.set_num_threads(1)
    print(f"{dtype}, llama\n\n| tokens a step | pure, tokens/s | free, tokens/s | price |")
    print("|---" * 4 + "|")
    for tokens in TOKENS:
        pure = median(step(decoder, tokens))
        used = decoder.products if tokens <= ROWS else decoder.products[:-1]  # the head's is last
        free = pure - savings(decoder.kernel, used, tokens)
        print(_row(tokens, tokens, pure, free), flush=True)


def print_modules(model: str, dtype: str) -> None:
    """Print the price that the modules pay for filled-up slots, over oneDNN."""
    torch.set_num_threads(THREADS)
    engine = _engine(model, dtype, OneDnnMultiplier())
    engine.compile()
    widths = engine.widths
    print(f"\n{dtype}, modules over oneDNN, widths {', '.join(map(str, widths.safe))}\n")
    print("| rows | width | pure, tokens/s | free, tokens/s | price |\n" + "|---" * 5 + "|")
    for rows in FILLED_UP:
        width = widths.fitting(rows)
        pure, free = (median(step(engine.decoder, rows, wide)) for wide in (width, rows))
        print(_row(f"{rows} | {width}", rows, pure, free), flush=True)


def _row(label: object, tokens: int, pure: float, free: float) -> str:
    return f"| {label} | {tokens / pure:.0f} | {tokens / free:.0f} | {pure / free - 1:.1%} |"


def _engine(model: str, dtype: str, multiplier: Multiplier | None) -> TorchEngine:
    source = ModelSource(
        model=model,
        dtype=PRECISIONS[dtype].states,
        device=torch.device("cpu"),
        context=CONTEXT,
        rows=ROWS,
    )
    return engine_over(
        model, load(source), widest=WIDEST, multiplier=multiplier, llama=multiplier is None
    )


def print_price(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    reader = argparse.ArgumentParser(
        prog="price", description="Measure what purity costs, in tokens/s."
    )
    reader.add_argument("model", help="a folder or an id on the hub")
    reader.add_argument("dtype", nargs="?", default="bfloat16", choices=["bfloat16", "float32"])
    options = reader.parse_args(arguments)
    torch.set_num_threads(THREADS)
    print_llama(options.model, options.dtype)
    print_modules(options.model, options.dtype)


if __name__ == "__main__":
    print_price()
