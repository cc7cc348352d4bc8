"""The Llama decoder of a GPU: close to transformers' modules, and the same bits in any company.

Covers `gpu_decoder`, `gpu_parts`.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.kernels.gpu.device import BF16, DEVICE, FP32, GPU, differing
from engine.kernels.gpu.recording import recorder
from engine.test_purity import GREEDY, SAMPLED, Talk
from engine.tiny_models import LEAN_SHAPES, VOCABULARY, save
from rowcast.engine.decoding.llama import gpu_decoder
from rowcast.engine.decoding.llama.gpu_decoder import GpuLlamaDecoder
from rowcast.engine.kernels.gpu import graphs
from rowcast.engine.kernels.gpu.available import kernels_of
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the interpreter is slow
ROWS, CONTEXT, WIDEST = 4, 128, 24
TOLERANCE = {FP32: 2e-5, BF16: 0.04}  # as the CPU's decoder
PROMPT = [11, 140, 7, 95, 33, 60]


@pytest.fixture(autouse=True)
def _small_head(monkeypatch: pytest.MonkeyPatch) -> None:
    if not GPU:  # an interpreter computes each slot of it in turn
        monkeypatch.setattr(gpu_decoder, "FEW", 8)


def engine_of(
    path: Path, dtype: torch.dtype = BF16, *, layers: int = 1, ours: bool = True
) -> TorchEngine:
    """Return an engine over our kernels, or over transformers' modules and torch."""
    source = ModelSource(
        model=str(path), dtype=dtype, device=DEVICE, context=CONTEXT, rows=ROWS, layers=layers
    )
    engine = engine_over(
        "tiny",
        load(source),
        rows=ROWS,
        widest=WIDEST,
        llama=ours,
        kernels=kernels_of(DEVICE) if ours else None,
    )
    assert isinstance(engine.decoder, GpuLlamaDecoder) is ours
    return engine


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("llama", tmp_path_factory.mktemp("tiny"))


@torch.inference_mode()
def logits(
    engine: TorchEngine, tokens: Sequence[int], row: int, position: int = 0, blank: int = 0
) -> Tensor:
    """Return the logits of a piece of one row, fed alone."""
    count = len(tokens)
    found = engine.decoder.logits(
        [*tokens, *[0] * blank],
        [row] * count + [-1] * blank,
        [*range(position, position + count), *[0] * blank],
        range(count),
    )
    return found.clone()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", LEAN_SHAPES)
def test_it_is_close_to_the_modules(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    path = save(name, tmp_path)
    found = []
    for ours in (True, False):
        engine = engine_of(path, dtype, layers=2, ours=ours)
        pieces = [logits(engine, PROMPT, 1), logits(engine, [5, 6, 7], 1, len(PROMPT))]
        found.append(torch.cat(pieces).float())
    spread = found[1].std()
    assert (found[0] - found[1]).abs().max() < TOLERANCE[dtype] * 8 * spread
    assert (found[0] - found[1]).square().mean().sqrt() < TOLERANCE[dtype] * spread


def test_company_order_width_piece_and_row_change_no_bit(llama: Path) -> None:
    engine = engine_of(llama)
    alone = logits(engine, PROMPT, 0)
    pieces = [logits(engine, PROMPT[:1], 2), logits(engine, PROMPT[1:], 2, 1, blank=2)]
    assert not differing(torch.cat(pieces), alone)
    for cached in (*engine._cache.keys.values(), *engine._cache.values.values()):
        cached[3] = torch.nan
    ours = list(zip(PROMPT, [1] * len(PROMPT), range(len(PROMPT)), strict=True))
    others = [(13, 3, 5), (14, 3, 6), (0, -1, 0), *((at, 0, at) for at in range(4))]
    for seed in range(1 if not GPU else 20):
        slots = ours + others
        random.Random(seed).shuffle(slots)
        slots.sort(key=lambda slot: slot[1] == 1 and slot[2])  # a row's tokens stay in order
        tokens, rows, positions = zip(*slots, strict=True)
        wanted = [slots.index(slot) for slot in ours]
        with torch.inference_mode():
            found = engine.decoder.logits(tokens, rows, positions, wanted)
        assert not differing(found, alone), seed


@torch.inference_mode()
def test_more_wanted_slots_than_a_graph_has_give_the_same_bits(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = logits(engine_of(llama), PROMPT, 0)
    monkeypatch.setattr(gpu_decoder, "FEW", 4)
    engine = engine_of(llama)
    many = logits(engine, PROMPT, 0)
    assert len(many) == 6
    assert not differing(many, few)
    assert engine.decoder.logits([5], [0], [0], []).shape == (0, VOCABULARY)
    assert engine.decoder.states([0]).dtype == FP32


def reply(engine: TorchEngine, feeds: Sequence[int], row: int, company: bool) -> list[object]:
    """Return tokens and log-probabilities of a sampled reply, fed in pieces."""
    talk, other = Talk(row, PROMPT, SAMPLED, seed=5), Talk(3, [9, 8, 7], GREEDY, seed=1)
    talk.seat(engine)
    other.seat(engine)
    for most in feeds:
        talks = [other, talk] if company else [talk]
        for drawn in engine.step([each.feed(most) for each in talks]):
            (talk if drawn.row == row else other).hear(drawn)
    return list(talk.said)


def test_a_reply_is_pure_through_engine_and_sampler(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, and by a recorded graph in company, in another row and other pieces."""
    alone = reply(engine_of(llama), [6, 1], 0, company=False)
    assert len(alone) == 2
    monkeypatch.setattr(graphs, "run_again", recorder)
    assert reply(engine_of(llama), [4, 2, 1], 1, company=True) == alone


@pytest.mark.skipif(GPU, reason="a GPU records by CUDA")
def test_a_recorded_step_repeats_nothing_of_its_recording(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = engine_of(llama)
    monkeypatch.setattr(graphs, "run_again", recorder)
    engine = engine_of(llama)
    for tokens, row, position in (([3, 1, 4], 0, 0), ([1, 5, 9, 2], 1, 0), ([7], 0, 3)):
        found = logits(engine, tokens, row, position)
        assert not differing(found, logits(wanted, tokens, row, position))
    assert isinstance(engine.decoder, GpuLlamaDecoder)
    assert set(engine.decoder._graphs._recorded) == {(4, True), (1, True)}


@torch.inference_mode()
def test_numbers_out_of_range_are_refused(llama: Path) -> None:
    engine = engine_of(llama)
    for tokens, rows, positions, wanted in (
        ([VOCABULARY], [0], [0], [0]),
        ([-1], [0], [0], [0]),
        ([5], [ROWS], [0], [0]),
        ([5], [-2], [0], [0]),
        ([5], [0], [CONTEXT], [0]),
        ([5], [0], [-1], [0]),
        ([5], [0], [0], [1]),
        ([5] * 25, [0] * 25, list(range(25)), [0]),
    ):
        with pytest.raises(ValueError, match=r"not all in|at most"):
            engine.decoder.logits(tokens, rows, positions, wanted)


def test_its_name_holds_the_kernels_and_the_weights_are_not_kept_twice(llama: Path) -> None:
    source = ModelSource(model=str(llama), dtype=None, device=DEVICE, context=CONTEXT, rows=ROWS)
    loaded = load(source)
    engine = engine_over("tiny", loaded, rows=ROWS, widest=WIDEST, kernels=kernels_of(DEVICE))
    assert kernels_of(DEVICE).name in engine.decoder.name
    left = {name.split(".")[-2] for name, _ in loaded.model.named_parameters()}
    assert left == {"embed_tokens", "input_layernorm", "post_attention_layernorm", "norm"}
