"""A prompt's scores are the model's own log-probabilities, bit for bit, however it is fed.

Covers `scorer`.
"""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.test_purity import GREEDY, ROWS, SAMPLED, Talk, engine_of
from engine.test_purity import PROMPT as SHORT
from engine.tiny_models import VOCABULARY, save
from rowcast.engine.engine import Feed, Scores, Seating
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

pytestmark = pytest.mark.slow

PROMPT = [*SHORT, *reversed(SHORT)]  # more positions than are scored at once
SCORED = SamplingParams(max_tokens=1, prompt_logprobs=True, top_logprobs=4)
WAYS = [("llama", True), ("llama", False), ("gpt2", False), ("gemma2", False)]
Found = tuple[list[float], list[tuple[tuple[int, float], ...]]]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]} {way[1]}")
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bool]:
    name, llama = request.param
    return save(name, tmp_path_factory.mktemp("models")), llama


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def engine(request: pytest.FixtureRequest, model: tuple[Path, bool]) -> TorchEngine:
    return engine_of(model[0], request.param, llama=model[1])


def scoring(row: int, at: int, size: int) -> Feed:
    end = min(at + size, len(PROMPT))
    return Feed(row, at, PROMPT[at:end], end == len(PROMPT), PROMPT[at + 1 : end + 1])


def scored(engine: TorchEngine, chance: random.Random | None = None) -> Found:
    """Return the scores of the prompt, fed whole and alone, or in pieces and in company."""
    row = chance.randrange(ROWS) if chance else 0
    other = Talk((row + 1) % ROWS, [9, 8, 7], random.Random(1).choice([SAMPLED, GREEDY]), seed=3)
    other.seat(engine)
    engine.seat(row, Seating(SCORED, 5, 0, len(PROMPT)))
    found: list[Scores] = []
    fed = 0
    while fed < len(PROMPT):
        feeds = [scoring(row, fed, chance.randrange(1, 20) if chance else len(PROMPT))]
        fed += len(feeds[0].tokens)
        if chance and chance.random() < 0.7 and not other.done:
            feeds.insert(chance.randrange(2), other.feed(2))
        for drawn in engine.step(feeds):
            if drawn.row == other.row:
                other.hear(drawn)
            elif drawn.scores is not None:
                found.append(drawn.scores)
    tops = [top for each in found for top in each.top or ()]
    return [number for each in found for number in each.logprobs], tops


def test_pieces_row_and_company_change_no_bit(engine: TorchEngine) -> None:
    wanted = scored(engine)
    assert (len(wanted[0]), len(wanted[1])) == (len(PROMPT) - 1, len(PROMPT) - 1)
    for number in range(4):
        assert scored(engine, random.Random(number)) == wanted


def test_a_score_has_the_bits_that_the_token_has_when_it_is_drawn(engine: TorchEngine) -> None:
    numbers, tops = scored(engine)
    for at in range(1, len(PROMPT)):
        params = SamplingParams(
            max_tokens=1, logprobs=True, top_logprobs=4, allowed_tokens=(PROMPT[at],)
        )
        engine.seat(2, Seating(params, 1, 0, at))
        (drawn,) = engine.step([Feed(2, 0, PROMPT[:at], draws=True)])
        assert drawn.tokens == (PROMPT[at],)
        assert (drawn.logprobs, drawn.top) == ((numbers[at - 1],), (tops[at - 1],))


def test_scores_are_those_of_transformers(model: tuple[Path, bool]) -> None:
    numbers, tops = scored(engine_of(model[0], "float32", llama=model[1]))
    reference = AutoModelForCausalLM.from_pretrained(model[0], dtype=torch.float32)
    with torch.no_grad():
        wanted = reference(torch.tensor([PROMPT])).logits[0].double().log_softmax(-1)
    own = wanted[torch.arange(len(PROMPT) - 1), torch.tensor(PROMPT[1:])]
    assert numbers == pytest.approx(own.tolist(), abs=2e-5)
    for at, top in enumerate(tops):
        values, ids = wanted[at].topk(4)
        assert [token for token, _ in top] == ids.tolist()
        assert [number for _, number in top] == pytest.approx(values.tolist(), abs=2e-5)


def test_numbers_that_are_not_finite_end_the_row_and_no_other(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32", llama=False)
    straight = engine.decoder.logits

    def crooked(
        tokens: list[int], rows: list[int], positions: list[int], wanted: list[int]
    ) -> torch.Tensor:
        logits = straight(tokens, rows, positions, wanted).clone()
        for place, slot in enumerate(wanted):
            if rows[slot] == 3:
                logits[place, VOCABULARY - 1] = torch.nan
        return logits

    engine.decoder.logits = crooked  # type: ignore[method-assign,assignment]
    for row in (3, 4):
        engine.seat(row, Seating(SCORED, 5, 0, len(PROMPT)))
    broken, sound = engine.step([scoring(3, 0, 9), scoring(4, 0, 9)])
    assert (broken.tokens, broken.scores) == ((), None)
    assert "not finite" in broken.problem
    assert sound.scores is not None
    assert len(sound.scores.logprobs) == 9
