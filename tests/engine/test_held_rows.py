"""A reply over what a row holds equals, bit for bit, one whose tokens were all fed.

The beginning is in the row itself, is copied from another, or was saved and read back.

Covers `row_cache`.
"""

from collections.abc import Callable, Sequence

import pytest

from engine.rule import reply as expected
from engine.test_purity import GREEDY, PROMPT, SAMPLED, Said, Talk, alone, engine_of
from engine.tiny_models import save
from rowcast.engine.engine import Engine, Feed, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

MODELS = [
    ("llama", "bfloat16", True),
    ("llama", "int8", True),
    ("mistral, sliding window", "bfloat16", True),
    ("gemma2", "bfloat16", False),
    ("gpt_oss", "bfloat16", False),
    ("falcon, ALiBi", "float32", False),
]
PENALISED = SamplingParams(
    max_tokens=12,
    temperature=0.9,
    presence_penalty=0.7,
    frequency_penalty=0.4,
    repetition_penalty=1.2,
    logprobs=True,
)


def own(_engine: Engine, row: int, _count: int) -> int:
    return row


def copied(engine: Engine, row: int, count: int) -> int:
    engine.copy(row, row + 2, count)
    return row + 2


def read_back(engine: Engine, row: int, count: int) -> int:
    saved = engine.save(row, len(PROMPT))
    assert len(saved) == len(PROMPT) * engine.token_bytes
    overwrite(engine, row)
    engine.load(row + 1, saved, count)
    return row + 1


def read_back_from_parts(engine: Engine, row: int, count: int) -> int:
    """The end is saved first; what is saved equals what is saved at once."""
    whole, saved = engine.save(row, len(PROMPT)), engine.new_saved(len(PROMPT))
    middle = len(PROMPT) // 2
    engine.save_part(row, saved, middle, len(PROMPT))
    engine.trim(row, middle)
    engine.save_part(row, saved, 0, middle)
    assert saved[:] == whole[:]
    engine.load(row + 1, saved, count)
    return row + 1


def overwrite(engine: Engine, row: int) -> None:
    """Feed a row other tokens."""
    other = [each + 1 for each in PROMPT]
    engine.seat(row, Seating(GREEDY, 3, 0, len(other)))
    engine.step([Feed(row, 0, other, draws=False)])
    engine.leave(row)


WAYS = [own, copied, read_back, read_back_from_parts]


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: " ".join(map(str, model)))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    name, precision, llama = request.param
    return engine_of(save(name, tmp_path_factory.mktemp("models")), precision, llama=llama)


def over(engine: TorchEngine, row: int, tokens: Sequence[int], params: SamplingParams) -> Said:
    """Compute the reply in a row that holds its first tokens."""
    talk = Talk(row, PROMPT, params, seed=5, fed=len(tokens))
    engine.seat(row, Seating(params, 5, 0, len(PROMPT), held=tokens))
    while not talk.done:
        for drawn in engine.step([talk.feed(4)]):
            talk.hear(drawn)
    engine.leave(row)
    return talk.said


@pytest.mark.slow
@pytest.mark.parametrize("find", WAYS)
@pytest.mark.parametrize("params", [GREEDY, SAMPLED, PENALISED], ids=["greedy", "top_p", "penal"])
def test_what_is_held_changes_no_bit(
    engine: TorchEngine, params: SamplingParams, find: Callable[[Engine, int, int], int]
) -> None:
    wanted = alone(engine, params)
    for count in (1, 9, len(PROMPT) - 1):
        first = Talk(3, PROMPT, SAMPLED, seed=1)  # another reply leaves the row behind
        first.seat(engine)
        engine.step([first.feed(len(PROMPT))])
        engine.leave(3)
        row = find(engine, 3, count)
        assert over(engine, row, PROMPT[:count], params) == wanted


@pytest.mark.parametrize("find", WAYS)
def test_a_scripted_row_goes_on_from_the_tokens_in_its_cache(
    find: Callable[[Engine, int, int], int],
) -> None:
    engine = ScriptedEngine()
    engine.seat(3, Seating(GREEDY, 1, 0, len(PROMPT)))
    engine.step([Feed(3, 0, PROMPT, draws=False)])
    engine.leave(3)
    row = find(engine, 3, 9)
    engine.seat(row, Seating(GREEDY, 1, 0, len(PROMPT), held=PROMPT[:9]))
    (drawn,) = engine.step([Feed(row, 9, PROMPT[9:], draws=True)])
    assert drawn.tokens == expected(PROMPT, 1, 1)[0]


def test_a_scripted_row_does_not_hold_what_it_was_not_fed() -> None:
    engine = ScriptedEngine()
    engine.seat(3, Seating(GREEDY, 1, 0, len(PROMPT)))
    engine.step([Feed(3, 0, PROMPT[:4], draws=False)])
    engine.leave(3)
    with pytest.raises(ValueError, match="has 4 tokens, not 5"):
        engine.copy(3, 1, 5)
    with pytest.raises(ValueError, match="has 4 tokens, not 5"):
        engine.seat(3, Seating(GREEDY, 1, 0, len(PROMPT), held=PROMPT[:5]))
