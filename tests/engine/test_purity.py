"""A reply is a value: its tokens and the bits of its log-probabilities do not depend on company.

One prompt is computed alone, fed whole; then again in another row, among neighbours that come and
go, fed in other pieces, over a cache of another length, by another engine and by another process.
Greedy and sampled, fp32, bf16 and int8.

Covers `widths`, `torch_engine`, `decoding/decoder`, `decoders`, `kernels/linear`.
"""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from engine.tiny_models import LEAN_SHAPES, VOCABULARY, save
from rowcast.engine.decoding import widths
from rowcast.engine.decoding.decoder import Decoder
from rowcast.engine.decoding.decoders import packing_multiplier
from rowcast.engine.decoding.precision import PRECISIONS
from rowcast.engine.engine import Drawn, Feed, Seating
from rowcast.engine.kernels.linear import Multiplier, OneDnnMultiplier, Product
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

pytestmark = pytest.mark.slow

ROWS, REPLY = 8, 12
PROMPT = [11, 140, 7, 95, 33, 60, 181, 4, 99, 23, 150, 77, 12, 5, 166, 88, 41]
OTHERS = ("gemma2", "gpt_oss", "falcon, ALiBi", "mixtral", "gpt2")
KINDS = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}
IN_INT8 = ("llama", "qwen3", "mistral, sliding window", "mixtral", "falcon, ALiBi", "gpt2")
WAYS = [
    pytest.param(name, kind, llama, id=f"{name}, {kind}" + ("" if llama else ", modules"))
    for name, llama in [
        *((name, True) for name in (*LEAN_SHAPES, *OTHERS)),
        *((name, False) for name in LEAN_SHAPES),
    ]
    for kind in KINDS
    if kind != "int8" or (name in IN_INT8 and (llama or name == "llama"))
]
SAMPLED = SamplingParams(
    max_tokens=REPLY,
    min_tokens=REPLY,
    temperature=0.9,
    top_k=50,
    top_p=0.95,
    repetition_penalty=1.1,
    logprobs=True,
)
GREEDY = SamplingParams(max_tokens=REPLY, min_tokens=REPLY, temperature=0.0, logprobs=True)

Said = list[tuple[int, float]]


@dataclass
class Talk:
    """One row's reply, driven by the test."""

    row: int
    prompt: Sequence[int]
    params: SamplingParams
    seed: int
    fed: int = 0
    said: Said = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return [*self.prompt, *(token for token, _ in self.said)]

    @property
    def done(self) -> bool:
        return len(self.said) >= REPLY

    def seat(self, engine: TorchEngine) -> None:
        engine.seat(self.row, Seating(self.params, self.seed, 0, len(self.prompt)))

    def feed(self, most: int) -> Feed:
        piece = self.tokens[self.fed : self.fed + most]
        feed = Feed(self.row, self.fed, piece, draws=self.fed + len(piece) == len(self.tokens))
        self.fed += len(piece)
        return feed

    def hear(self, drawn: Drawn) -> None:
        assert not drawn.problem
        assert drawn.logprobs is not None
        self.said += zip(drawn.tokens, drawn.logprobs, strict=True)


def engine_of(
    path: Path,
    precision: str,
    context: int = 64,
    widest: int = 64,
    multiplier: Multiplier | None = None,
    *,
    llama: bool = True,
) -> TorchEngine:
    cpu = torch.device("cpu")
    kept = PRECISIONS[precision]
    source = ModelSource(
        model=str(path),
        dtype=kept.states,
        weights=kept.weights,
        device=cpu,
        context=context,
        rows=ROWS,
    )
    multiplier = multiplier or packing_multiplier(precision, cpu, 1)
    engine = engine_over(
        "tiny", load(source), rows=ROWS, widest=widest, multiplier=multiplier, llama=llama
    )
    engine.compile()
    return engine


def alone(engine: TorchEngine, params: SamplingParams) -> Said:
    talk = Talk(0, PROMPT, params, seed=5)
    talk.seat(engine)
    while not talk.done:
        for drawn in engine.step([talk.feed(len(PROMPT))]):
            talk.hear(drawn)
    return talk.said


def in_company(engine: TorchEngine, params: SamplingParams, chance: random.Random) -> Said:
    """Compute the same prompt in a random row, in random pieces, among changing neighbours."""
    rows = list(range(ROWS))
    chance.shuffle(rows)
    ours = Talk(rows.pop(), PROMPT, params, seed=5)
    ours.seat(engine)
    others: list[Talk] = []
    while not ours.done:
        others = [other for other in others if not other.done]
        free = [row for row in rows if row not in {other.row for other in others}]
        for row in free[: chance.randrange(3)]:
            others.append(_stranger(row, chance))
            others[-1].seat(engine)
        _step(engine, [ours, *others], chance)
    return ours.said


def _stranger(row: int, chance: random.Random) -> Talk:
    prompt = [chance.randrange(3, VOCABULARY) for _ in range(chance.randrange(1, 30))]
    return Talk(row, prompt, chance.choice([SAMPLED, GREEDY]), seed=chance.randrange(99))


def _step(engine: TorchEngine, talks: list[Talk], chance: random.Random) -> None:
    chance.shuffle(talks)
    by_row = {talk.row: talk for talk in talks}
    feeds = [talk.feed(chance.randrange(1, 8)) for talk in talks]
    for drawn in engine.step(feeds):
        by_row[drawn.row].hear(drawn)


@pytest.mark.parametrize(("name", "kind", "llama"), WAYS)
def test_company_changes_no_bit(name: str, kind: str, llama: bool, tmp_path: Path) -> None:
    """Row, pieces, order, another engine and another cache length change no bit either."""
    path = save(name, tmp_path)
    engine = engine_of(path, KINDS[kind], llama=llama)
    other = engine_of(path, KINDS[kind], llama=llama, context=96)
    assert other.fingerprint == engine.fingerprint
    for params in (GREEDY, SAMPLED):
        wanted = alone(engine, params)
        for number in range(4):
            assert in_company(engine, params, random.Random(number)) == wanted
        assert in_company(other, params, random.Random(9)) == wanted


class CrookedMultiplier:
    """A kernel whose summation order depends on the number of rows."""

    name = "crooked"

    def pack(self, weights: Sequence[torch.Tensor], bias: torch.Tensor | None) -> Product:
        weight = torch.cat(list(weights))

        def product(states: torch.Tensor) -> torch.Tensor:
            straight = torch.nn.functional.linear(states, weight, bias)
            return straight * (1 + 1e-6 * states.shape[-2])

        return product


@pytest.mark.parametrize("multiplier", [OneDnnMultiplier(), CrookedMultiplier()])
def test_other_kernels_are_as_pure_at_the_widths_that_the_probe_leaves(
    multiplier: Multiplier, tmp_path: Path
) -> None:
    engine = engine_of(save("llama", tmp_path), "float32", widest=32, multiplier=multiplier)
    assert in_company(engine, SAMPLED, random.Random(3)) == alone(engine, SAMPLED)


def test_kernels_that_disagree_leave_one_width(tmp_path: Path) -> None:
    crooked = CrookedMultiplier()
    engine = engine_of(save("llama", tmp_path), "float32", widest=32, multiplier=crooked)
    assert engine._widths.safe == (32,)


class CrookedDecoder:
    """Claims that no bit depends on the number of slots, which is false."""

    any_width = True
    name = "crooked"
    dimensions = 0
    classifier = None

    def __init__(self, straight: Decoder) -> None:
        self._straight = straight
        self.states = straight.states

    def logits(self, *step: Sequence[int]) -> torch.Tensor:
        return self._straight.logits(*step) * (1 + 1e-3 * len(step[0]))


def test_a_decoder_runs_at_any_width_only_when_the_probe_agrees(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32", widest=32)
    if engine.decoder.any_width:
        assert engine._widths.safe == tuple(range(33))
    engine.decoder = CrookedDecoder(engine.decoder)
    engine.compile()
    assert engine._widths.safe == (32,)
    assert in_company(engine, SAMPLED, random.Random(3)) == alone(engine, SAMPLED)


def test_the_probe_tells_what_it_found(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level("INFO", logger=widths._log.name)
    engine_of(save("llama", tmp_path), "bfloat16")
    assert any("widths=" in message for message in caplog.messages)


def told(path: Path, precision: str) -> str:
    """Return a build and a digest of its replies, in company and alone, greedy and sampled."""
    engine = engine_of(path, precision)
    said = [in_company(engine, SAMPLED, random.Random(2)), alone(engine, GREEDY)]
    bits = repr([[(token, logprob.hex()) for token, logprob in each] for each in said])
    return f"{precision} {engine.fingerprint} {hashlib.sha256(bits.encode()).hexdigest()}"


def test_another_process_changes_no_bit(tmp_path: Path) -> None:
    """The process has its own hash seed and number of threads."""
    path, own = save("llama", tmp_path), {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2"}
    ours = [told(path, precision) for precision in KINDS.values()]
    assert len({each.split()[1] for each in ours}) == len(KINDS)
    other = subprocess.run(
        [sys.executable, __file__, str(path)],
        env={**os.environ, **own, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
    )
    assert other.stdout.splitlines() == ours


if __name__ == "__main__":
    for each in KINDS.values():
        print(told(Path(sys.argv[1]), each))
