"""Prints the time of a step of the Llama decoder on this machine, next to transformers' modules.

Two models of random weights in bf16; every row gets one token at the same position. The two
decoders run one after the other, because the threads of each keep spinning for a while and would
slow down the other. Figures are medians of the clock.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass

import torch
from transformers import LlamaConfig

from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource

THREADS = 2
CONTEXT = 640
ROWS = (1, 4, 8, 32)
POSITIONS = (16, 512)
PAUSE = 0.2
SECONDS, LEAST = 1.0, 7  # time and minimum number of steps per figure


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama with 64 values per head and two KV heads."""

    name: str
    hidden: int
    between: int
    layers: int
    vocabulary: int

    def config(self) -> LlamaConfig:
        return LlamaConfig(
            hidden_size=self.hidden,
            intermediate_size=self.between,
            num_hidden_layers=self.layers,
            num_attention_heads=self.hidden // 64,
            num_key_value_heads=2,
            vocab_size=self.vocabulary,
            max_position_embeddings=CONTEXT,
        )


SHAPES = (Shape("12.5 M", 384, 1024, 6, 8000), Shape("0.5 B", 896, 4864, 24, 32000))

Figures = dict[tuple[int, int], float]


def print_table() -> None:
    """Print both models with both decoders."""
    print("| model | position | rows | llama, ms | modules, ms | ratio |\n" + "|---" * 6 + "|")
    for shape in SHAPES:
        llama, modules = _figures(shape, llama=True), _figures(shape, llama=False)
        for position, rows in llama:
            ours, theirs = llama[position, rows], modules[position, rows]
            print(
                f"| {shape.name} | {position} | {rows} | {ours:.3f} | {theirs:.3f} "
                f"| {theirs / ours:.2f} |",
                flush=True,
            )


def _figures(shape: Shape, *, llama: bool) -> Figures:
    """Return the milliseconds per step, by position and rows."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        shape.config().save_pretrained(folder)
        source = ModelSource(
            model=folder,
            dtype=torch.bfloat16,
            device=torch.device("cpu"),
            context=CONTEXT,
            rows=max(ROWS),
            random=True,
        )
        engine = engine_over(shape.name, load(source), rows=max(ROWS), llama=llama)
    torch.set_num_threads(1 if llama else THREADS)
    time.sleep(PAUSE)
    return {(at, rows): _median(engine.decoder, rows, at) for at in POSITIONS for rows in ROWS}


@torch.inference_mode()
def _median(decoder: Decoder, rows: int, position: int) -> float:
    each = list(range(rows))
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(times) < LEAST or time.perf_counter() < until:
        start = time.perf_counter()
        decoder.logits(each, each, [position] * rows, each)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


if __name__ == "__main__":
    print_table()
