"""A forked row equals, bit for bit, a row that was fed everything itself."""

import random
from collections.abc import Sequence

import pytest

from engine.test_purity import GREEDY, PROMPT, REPLY, SAMPLED, Said, Talk, engine_of
from engine.tiny_models import save
from rowcast.engine.engine import Engine, Feed, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

WAYS = [("llama", True), ("llama", False), ("gemma2", False), ("gpt_oss", False)]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]} {way[1]}")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    name, llama = request.param
    return engine_of(save(name, tmp_path_factory.mktemp("models")), "bfloat16", llama=llama)


def seat(engine: Engine, row: int, params: SamplingParams, choice: int) -> Talk:
    talk = Talk(row, PROMPT, params, seed=5)
    engine.seat(row, Seating(params, 5, choice, len(PROMPT)))
    return talk


def finish(engine: Engine, talks: Sequence[Talk]) -> list[Said]:
    """Run all replies to their ends, in shared steps."""
    while going := [talk for talk in talks if not talk.done]:
        for drawn in engine.step([talk.feed(len(PROMPT)) for talk in going]):
            next(talk for talk in going if talk.row == drawn.row).hear(drawn)
    return [talk.said for talk in talks]


@pytest.mark.slow
@pytest.mark.parametrize("params", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("shared", [1, 9, len(PROMPT) - 1])
def test_a_fork_changes_no_bit(engine: TorchEngine, params: SamplingParams, shared: int) -> None:
    alone = finish(engine, [seat(engine, row, params, choice) for choice, row in enumerate((3, 0))])
    leader = seat(engine, 5, params, choice=0)
    while len(leader.said) < REPLY // 2:  # may be past what is shared
        for drawn in engine.step([leader.feed(4)]):
            leader.hear(drawn)
    for row in (1, 3):
        stranger = Talk(row, [row] * 30, SAMPLED, seed=row)
        stranger.seat(engine)
        engine.step([stranger.feed(30)])
    follower = seat(engine, 1, params, choice=1)
    engine.fork(5, 1, PROMPT[:shared])
    follower.fed = shared
    assert finish(engine, [leader, follower]) == alone


@pytest.mark.slow
def test_replies_that_go_on_share_their_beginnings_too(engine: TorchEngine) -> None:
    (alone,) = finish(engine, [seat(engine, 0, SAMPLED, 0)])
    again = seat(engine, 2, SAMPLED, 0)
    again.said = alone[: REPLY // 2]
    again.fed = len(again.tokens) - 1
    engine.fork(0, 2, again.tokens[:-1])
    assert finish(engine, [again]) == [alone]


def test_a_scripted_row_takes_over_what_the_source_was_fed() -> None:
    chance = random.Random(4)
    engine = ScriptedEngine()
    for _ in range(50):
        shared = chance.randrange(1, len(PROMPT))
        engine.seat(0, Seating(GREEDY, 1, 0, len(PROMPT)))
        engine.step([Feed(0, 0, PROMPT, draws=True)])
        engine.seat(1, Seating(GREEDY, 1, 1, len(PROMPT)))
        engine.fork(0, 1, PROMPT[:shared])
        forked = engine.step([Feed(1, shared, PROMPT[shared:], draws=True)])
        engine.seat(1, Seating(GREEDY, 1, 1, len(PROMPT)))
        assert engine.step([Feed(1, 0, PROMPT, draws=True)]) == forked


def test_a_scripted_row_cannot_take_over_what_is_not_there() -> None:
    engine = ScriptedEngine()
    for row in (0, 1):
        engine.seat(row, Seating(GREEDY, 1, 0, len(PROMPT)))
    engine.step([Feed(0, 0, PROMPT[:4], draws=False)])
    with pytest.raises(ValueError, match="5 of 4 tokens"):
        engine.fork(0, 1, PROMPT[:5])
