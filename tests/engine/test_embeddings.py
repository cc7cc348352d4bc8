"""A prompt's vector is that of transformers' states, and a value: company changes no bit of it.

Covers `pooling`, `module_decoder`, `llama/last_states`.
"""

import array
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import AutoModel

from engine import test_purity
from engine.test_purity import GREEDY, IN_INT8, ROWS, SAMPLED, Talk
from engine.test_purity import PROMPT as SHORT
from engine.tiny_models import LEAN_SHAPES, SHAPES, save
from rowcast.engine.decoding.llama.decoder import LlamaDecoder
from rowcast.engine.engine import Drawn, DrawnVector, Feed, Seating
from rowcast.engine.kernels.linear import KernelMultiplier
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams
from rowcast.wire import Pooling

pytestmark = pytest.mark.slow

PROMPT = [*SHORT, *reversed(SHORT)]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
SILENT = SamplingParams(max_tokens=0)
KINDS = ("float32", "bfloat16", "int8")
FORMS = [
    pytest.param(name, llama, id=f"{name}{'' if llama else ', modules'}")
    for name in SHAPES
    for llama in ([True, False] if name in LEAN_SHAPES else [False])
]
DECODERS = [
    *[(name, kind, True) for name in ("llama", "qwen3") for kind in KINDS],
    *[("llama", kind, False) for kind in KINDS],
    ("gemma2", "float32", False),
    ("gpt2", "bfloat16", False),
]


def engine_of(
    path: Path, kind: str, *, llama: bool = True, context: int = 64, widest: int = 64
) -> TorchEngine:
    """Return an engine over our kernels, also in fp32, as a server has it."""
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("there is no compiler for the linear kernel")
    own: dict[str, Kind] = {"float32": "fp32", "bfloat16": "bf16"}
    multiplier = KernelMultiplier(kernel, own[kind]) if kind in own else None
    return test_purity.engine_of(path, kind, context, widest, multiplier, llama=llama)


def seat(engine: TorchEngine, row: int, prompt: Sequence[int], pooling: Pooling) -> None:
    engine.seat(row, Seating(SILENT, 5, 0, len(prompt), pooling=pooling))


def bits(drawn: Drawn) -> bytes:
    assert not drawn.problem
    assert drawn.tokens == ()
    assert isinstance(drawn, DrawnVector)
    return drawn.vector


def numbers(drawn: Drawn) -> list[float]:
    return array.array("f", bits(drawn)).tolist()


def alone(engine: TorchEngine, pooling: Pooling, prompt: Sequence[int] = PROMPT) -> Drawn:
    """Return the vector of a prompt that is fed whole, to an idle engine."""
    seat(engine, 0, prompt, pooling)
    (drawn,) = engine.step([Feed(0, 0, prompt, draws=False)])
    engine.leave(0)
    return drawn


def in_company(engine: TorchEngine, pooling: Pooling, chance: random.Random) -> Drawn:
    """Return the vector of a prompt that is fed in pieces, among other rows."""
    row, near, far = chance.sample(range(ROWS), 3)
    other = Talk(near, [9, 8, 7], chance.choice([SAMPLED, GREEDY]), seed=3)
    other.seat(engine)
    another = [token + 1 for token in PROMPT[:20]]
    seat(engine, row, PROMPT, pooling)
    seat(engine, far, another, chance.choice(POOLINGS))
    fed, found = 0, None
    while found is None:
        size = chance.randrange(1, 20)
        feeds = [Feed(row, fed, PROMPT[fed : fed + size], draws=False)]
        if not fed:
            feeds.append(Feed(far, 0, another[:9], draws=False))
        if not other.done:
            feeds.insert(chance.randrange(2), other.feed(2))
        fed += size
        for drawn in engine.step(feeds):
            if drawn.row == row:
                found = drawn
            else:
                other.hear(drawn)
    for each in (row, far):
        engine.leave(each)
    return found


@pytest.mark.parametrize(("name", "llama"), FORMS)
def test_vectors_are_those_of_transformers_states(name: str, llama: bool, tmp_path: Path) -> None:
    path = save(name, tmp_path)
    reference = AutoModel.from_pretrained(path, dtype=torch.float32)
    with torch.no_grad():
        states = reference(torch.tensor([PROMPT])).last_hidden_state[0].double()
    wanted: dict[Pooling, torch.Tensor] = {"last": states[-1], "mean": states.mean(0)}
    engine = engine_of(path, "float32", llama=llama)
    assert isinstance(engine.decoder, LlamaDecoder) == llama
    assert engine.dimensions == states.shape[1]
    for pooling in POOLINGS:
        found = numbers(alone(engine, pooling))
        assert found == pytest.approx(wanted[pooling].tolist(), abs=2e-5, rel=2e-5)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda at: f"{at[0]} {at[1]} {at[2]}")
def test_pieces_row_and_company_change_no_bit(
    decoder: tuple[str, str, bool], tmp_path: Path
) -> None:
    name, kind, llama = decoder
    path = save(name, tmp_path)
    engine = engine_of(path, kind, llama=llama)
    again = engine_of(path, kind, llama=llama, context=128, widest=48)
    for pooling in POOLINGS:
        wanted = bits(alone(engine, pooling))
        for number in range(4):
            assert bits(in_company(engine, pooling, random.Random(number))) == wanted
        assert bits(in_company(again, pooling, random.Random(9))) == wanted


@pytest.mark.parametrize("name", [each for each in IN_INT8 if each in LEAN_SHAPES])
def test_in_int8_a_vector_is_in_the_models_own_coordinates(name: str, tmp_path: Path) -> None:
    path = save(name, tmp_path)
    exact, rounded = (engine_of(path, kind) for kind in ("float32", "int8"))
    for pooling in POOLINGS:
        one = torch.tensor(numbers(alone(exact, pooling)))
        other = torch.tensor(numbers(alone(rounded, pooling)))
        assert torch.cosine_similarity(one, other, dim=0) > 0.98


def test_a_vector_changes_no_bit_of_a_reply_beside_it(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32")

    def reply(*, company: bool) -> list[tuple[int, float]]:
        talk = Talk(2, SHORT, SAMPLED, seed=8)
        talk.seat(engine)
        if company:
            seat(engine, 5, PROMPT, "mean")
        for at in range(100):
            feeds = [talk.feed(9)]
            if company and at < len(PROMPT):
                feeds.append(Feed(5, at, PROMPT[at : at + 1], draws=False))
            for drawn in engine.step(feeds):
                if drawn.row == 2:
                    talk.hear(drawn)
            if talk.done:
                break
        return talk.said

    assert reply(company=True) == reply(company=False)


def test_a_row_whose_prompt_was_given_up_has_nothing_of_it(tmp_path: Path) -> None:
    engine = engine_of(save("qwen3", tmp_path), "float32")
    for pooling in POOLINGS:
        wanted = bits(alone(engine, pooling))
        seat(engine, 0, PROMPT, "mean")
        assert engine.step([Feed(0, 0, SHORT, draws=False)]) == []
        engine.leave(0)
        assert bits(alone(engine, pooling)) == wanted


@pytest.mark.parametrize("llama", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_numbers_that_are_not_finite_end_the_row_and_no_other(
    pooling: Pooling, llama: bool, tmp_path: Path
) -> None:
    engine = engine_of(save("llama", tmp_path), "float32", llama=llama)
    wanted = bits(alone(engine, pooling))
    straight: Callable[[Sequence[int]], torch.Tensor] = engine.decoder.states

    def crooked(slots: Sequence[int]) -> torch.Tensor:
        states = straight(slots).clone()
        states[0, 3] = torch.nan
        return states

    engine.decoder.states = crooked  # type: ignore[method-assign]
    for row in (3, 4):
        seat(engine, row, PROMPT, pooling)
    broken, sound = engine.step([Feed(row, 0, PROMPT[:32], draws=False) for row in (3, 4)]) or [
        *engine.step([Feed(row, 32, PROMPT[32:], draws=False) for row in (3, 4)])
    ]
    assert (broken.row, broken.tokens) == (3, ())
    assert "not finite" in broken.problem
    assert not isinstance(broken, DrawnVector)
    assert (sound.row, bits(sound)) == (4, wanted)


def test_states_of_slots_that_were_not_fed_are_refused(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32")
    alone(engine, "last", SHORT)
    with pytest.raises(ValueError, match="are not all in"):
        engine.decoder.states([len(SHORT) + 40])
