"""Prints the cost of a precision in quality: other kinds of numbers against fp32, on one model.

    python -m rowcast.engine.measuring.quality MODEL [DTYPE ...] [--text FILE] [--tokens N]
        [--within PERCENT]

Both models read the same tokens, in windows, and each token's distribution of the next one is
compared: how often the likeliest is the same, the divergence from fp32's (nats per token), the
perplexity of the text and its change, with the standard error for this many tokens. `--within`
fails if a perplexity rises by more. Without a text the tokens are random, and perplexity says
little. Knows no server.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer

from rowcast.engine.decoding.decoders import packing_multiplier
from rowcast.engine.decoding.precision import PRECISIONS
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine

REFERENCE = "float32"
COMPARED = ("bfloat16", "int8")
WINDOW = 256  # tokens, each read with those before it in its window
SEED = 0
HEADER = (
    "| | same likeliest token | divergence, nats | perplexity | change | ± |\n" + "|---" * 6 + "|"
)


@dataclass(slots=True)
class Quality:
    """Sums over tokens."""

    tokens: int = 0
    agreeing: int = 0
    divergence: float = 0.0
    surprise: float = 0.0  # of the text's own next tokens, in nats
    reference_surprise: float = 0.0
    squared: float = 0.0  # differences of the two

    def add(self, ours: Tensor, reference: Tensor, following: Tensor) -> None:
        """Add the logits [tokens, vocabulary] of both, and the tokens that follow."""
        ours, reference = (each.double().log_softmax(-1) for each in (ours, reference))
        self.tokens += len(following)
        self.agreeing += int((ours.argmax(-1) == reference.argmax(-1)).sum())
        self.divergence += float((reference.exp() * (reference - ours)).sum())
        our_surprise, reference_surprise = (
            -each.gather(1, following[:, None]) for each in (ours, reference)
        )
        self.surprise += float(our_surprise.sum())
        self.reference_surprise += float(reference_surprise.sum())
        self.squared += float((our_surprise - reference_surprise).square().sum())

    @property
    def change(self) -> float:
        """Relative change of perplexity: 0.01 is one percent more."""
        return math.expm1((self.surprise - self.reference_surprise) / self.tokens)

    @property
    def error(self) -> float:
        """The change's standard error."""
        mean = (self.surprise - self.reference_surprise) / self.tokens
        return math.sqrt(max(0.0, self.squared / self.tokens - mean**2) / self.tokens)

    def row(self, name: str) -> str:
        """Return a line of the table."""
        return (
            f"| {name} | {self.agreeing / self.tokens:.2%} | {self.divergence / self.tokens:.2e} "
            f"| {math.exp(self.surprise / self.tokens):.4g} | {self.change:+.3%} "
            f"| {self.error:.3%} |"
        )


def measure(model: str, name: str, reference: TorchEngine, tokens: Sequence[int]) -> Quality:
    """Measure one precision against the reference."""
    engine, quality = _engine(model, name), Quality()
    for window in _windows(tokens):
        following = torch.tensor(window[1:])
        quality.add(_logits(engine, window[:-1]), _logits(reference, window[:-1]), following)
    return quality


def _engine(model: str, name: str) -> TorchEngine:
    cpu, precision = torch.device("cpu"), PRECISIONS[name]
    source = ModelSource(
        model=model,
        dtype=precision.states,
        weights=precision.weights,
        device=cpu,
        context=WINDOW,
        rows=1,
    )
    multiplier = packing_multiplier(name, cpu, torch.get_num_threads())
    return engine_over(model, load(source), rows=1, widest=WINDOW, multiplier=multiplier)


@torch.inference_mode()
def _logits(engine: TorchEngine, tokens: Sequence[int]) -> Tensor:
    """Return the logits of each token, given those before it."""
    places = range(len(tokens))
    return engine.decoder.logits(tokens, [0] * len(tokens), places, places).clone()


def _windows(tokens: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield windows of tokens; each begins with the last token of the previous one."""
    for at in range(0, len(tokens) - 1, WINDOW):
        yield tokens[at : at + WINDOW + 1]


def read_tokens(model: str, text: Path | None, most: int, vocabulary: int) -> list[int]:
    """Return the text's first tokens, or random ones without a text."""
    if text is None:
        chance = torch.Generator().manual_seed(SEED)
        return torch.randint(vocabulary, (most,), generator=chance).tolist()
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens: list[int] = tokenizer(text.read_text(), verbose=False)["input_ids"]
    return tokens[:most]


def print_table(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each precision."""
    reader = argparse.ArgumentParser(prog="quality", description="Compare precisions with fp32.")
    reader.add_argument("model", help="a folder or an id on the hub")
    reader.add_argument("dtype", nargs="*", help=f"default: {' '.join(COMPARED)}")
    reader.add_argument("--text", type=Path, help="a text file; default: random tokens")
    reader.add_argument(
        "--tokens", type=int, default=2048, help="the maximum number of tokens; default: 2048"
    )
    reader.add_argument(
        "--within", type=float, metavar="PERCENT", help="fail if perplexity rises by more"
    )
    options = reader.parse_intermixed_args(arguments)
    if unknown := set(options.dtype) - set(PRECISIONS):
        reader.error(f"{', '.join(sorted(unknown))}: unknown; choose from {', '.join(PRECISIONS)}")
    reference = _engine(options.model, REFERENCE)
    tokens = read_tokens(
        options.model, options.text, options.tokens, _logits(reference, [0]).shape[-1]
    )
    if len(tokens) < 2:
        reader.error("the text must have at least two tokens")
    print(HEADER)
    worst = -math.inf
    for name in options.dtype or COMPARED:
        quality = measure(options.model, name, reference, tokens)
        worst = max(worst, quality.change)
        print(quality.row(name), flush=True)
    if options.within is not None and worst * 100 > options.within:
        reader.exit(1, f"perplexity rises by {worst:.3%}, the limit is {options.within:g} %\n")


if __name__ == "__main__":
    print_table()
