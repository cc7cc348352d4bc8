"""A reply is a value: its tokens and the bits of its log-probabilities do not depend on company.

One prompt is computed alone, its prompt fed whole; then again in another row, among neighbours that
come and go, fed in other pieces, over a cache of another length and by another engine. Greedy and
sampled, fp32 and bf16.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from engine.tiny_models import LEAN_SHAPES, VOCABULARY, save
from rowcast.engine import probe
from rowcast.engine.decoder import Decoder
from rowcast.engine.engine import Drawn, Feed, Seating
from rowcast.engine.kernels.linear import Multiplier, OneDnnMultiplier, Product
from rowcast.engine.loading import ModelSource, load
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

ROWS, REPLY = 8, 12
PROMPT = [11, 140, 7, 95, 33, 60, 181, 4, 99, 23, 150, 77, 12, 5, 166, 88, 41]
OTHERS = ("gemma2", "gpt_oss", "falcon, ALiBi", "mixtral", "gpt2")
WAYS = [
    *((name, True) for name in (*LEAN_SHAPES, *OTHERS)),
    *(pytest.param((name, False), id=f"{name}, modules") for name in LEAN_SHAPES),
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
    """One row's reply as a test drives it."""

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
    dtype: torch.dtype,
    context: int = 64,
    widest: int = 64,
    multiplier: Multiplier | None = None,
    *,
    lean: bool = True,
) -> TorchEngine:
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=dtype, device=cpu, context=context, rows=ROWS)
    engine = TorchEngine(
        "tiny", load(source), rows=ROWS, widest=widest, multiplier=multiplier, lean=lean
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
    """The same prompt in a random row, in random pieces, among neighbours that come and go."""
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


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way[0])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bool]:
    """A model, and whether it may have a lean decoder."""
    name, lean = request.param
    return save(name, tmp_path_factory.mktemp("models")), lean


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def engine(request: pytest.FixtureRequest, checkpoint: tuple[Path, bool]) -> TorchEngine:
    path, lean = checkpoint
    return engine_of(path, request.param, lean=lean)


@pytest.mark.parametrize("params", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_company_row_and_pieces_change_no_bit(engine: TorchEngine, params: SamplingParams) -> None:
    wanted = alone(engine, params)
    for number in range(4):
        assert in_company(engine, params, random.Random(number)) == wanted


def test_another_engine_and_cache_length_change_no_bit(
    checkpoint: tuple[Path, bool], engine: TorchEngine
) -> None:
    path, lean = checkpoint
    other = engine_of(path, engine._dtype, context=96, lean=lean)
    assert other.fingerprint == engine.fingerprint
    assert in_company(other, SAMPLED, random.Random(9)) == alone(engine, SAMPLED)


class CrookedMultiplier:
    """As a kernel would that sums in another order for every number of rows."""

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
    engine = engine_of(save("llama", tmp_path), torch.float32, widest=32, multiplier=multiplier)
    assert in_company(engine, SAMPLED, random.Random(3)) == alone(engine, SAMPLED)


def test_kernels_that_disagree_leave_one_width(tmp_path: Path) -> None:
    crooked = CrookedMultiplier()
    engine = engine_of(save("llama", tmp_path), torch.float32, widest=32, multiplier=crooked)
    assert engine._widths.safe == (32,)


class CrookedDecoder:
    """Promises that no bit depends on the number of slots, and does not keep it."""

    any_width = True
    name = "crooked"

    def __init__(self, straight: Decoder) -> None:
        self._straight = straight

    def logits(self, *step: Sequence[int]) -> torch.Tensor:
        return self._straight.logits(*step) * (1 + 1e-3 * len(step[0]))


def test_a_decoder_runs_at_any_width_only_when_the_probe_agrees(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), torch.float32, widest=32)
    if engine.decoder.any_width:
        assert engine._widths.safe == tuple(range(33))
    engine.decoder = CrookedDecoder(engine.decoder)
    engine.compile()
    assert engine._widths.safe == (32,)
    assert in_company(engine, SAMPLED, random.Random(3)) == alone(engine, SAMPLED)


def test_the_probe_tells_what_it_found(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level("INFO", logger=probe._log.name)
    engine_of(save("llama", tmp_path), torch.bfloat16)
    assert any("widths=" in message for message in caplog.messages)
