"""A prompt computed before the first request: real steps, no trace in replies, once in all."""

import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from backend.driven import Driven, RecordedEngine, submit
from engine.rule import reply as expected
from engine.test_purity import SAMPLED, alone, engine_of, in_company
from engine.tiny_models import save
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.backend.warm_up import WarmUp, compute
from rowcast.engine.engine import CacheMemory
from rowcast.errors import RowcastError
from rowcast.transport.memory import MemoryTransport


def fed(engine: RecordedEngine, row: int) -> list[int]:
    """Return the tokens that a row was fed; check that each feed continues the one before."""
    feeds = [feed for step in engine.steps for feed in step if feed.row == row]
    assert all(a.position + len(a.tokens) == b.position for a, b in pairwise(feeds))
    return [token for feed in feeds for token in feed.tokens]


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 300), (3, 5), (32, 100), (2, 256)])
def test_each_row_is_fed_the_prompt_and_the_token_after_it(rows: int, tokens: int) -> None:
    engine = RecordedEngine()
    compute(engine, rows, tokens)
    for row in range(32):
        assert len(fed(engine, row)) == (tokens + 1 if row < rows else 0)
    assert len(engine.seatings) == rows


def test_steps_are_as_wide_as_the_engine_allows() -> None:
    engine = RecordedEngine(width=64)
    compute(engine, 4, 100)
    widths = [sum(len(feed.tokens) for feed in step) for step in engine.steps]
    assert widths == [64] * 6 + [16, 4]


def test_a_prompt_may_fill_the_context() -> None:
    engine = RecordedEngine(context_length=128)
    compute(engine, 2, 128)
    assert [len(fed(engine, row)) for row in (0, 1)] == [128, 128]


@pytest.mark.parametrize(
    ("rows", "tokens", "problem"),
    [(1, 129, "WARM_TOKENS is 129, .* is 128"), (33, 5, "WARM_ROWS is 33, but the model has 32")],
)
def test_what_has_no_room_is_refused_before_anything_is_computed(
    rows: int, tokens: int, problem: str
) -> None:
    engine = RecordedEngine(context_length=128)
    with pytest.raises(RowcastError, match=problem):
        WarmUp(rows, tokens).run(engine)
    assert engine.steps == []


def test_rows_for_which_there_is_no_memory_are_refused() -> None:
    engine = RecordedEngine(context_length=128)
    engine.memory = CacheMemory(300, 8)
    with pytest.raises(RowcastError, match="memory of rows is enough for 3 of them"):
        WarmUp(4, 100).run(engine)
    WarmUp(3, 100).run(engine)


def test_a_backend_is_warm_before_it_serves_and_replies_as_any_other() -> None:
    engine = RecordedEngine()
    transport = MemoryTransport(seconds=0)
    backend = DecodeBackend(transport.backend_port, lambda: engine, warm_up=WarmUp(32, 40))
    assert engine.computed == 32 * 41
    assert backend.idle
    driven = Driven(engine=engine)
    reader = driven.reader()
    for seed in range(32):
        reader.send(submit(f"s{seed}", seed=seed, max_tokens=20))
    driven.finish()
    for seed in range(32):
        tokens, _ = expected(b"Hello", seed, 20, ignore_eos=True)
        assert reader.tokens[f"s{seed}"] == list(tokens)


def test_without_a_number_of_rows_nothing_is_computed() -> None:
    engine = RecordedEngine()
    WarmUp().run(engine)
    assert engine.steps == []


def test_a_fork_does_it_for_those_after_it() -> None:
    warm_up = WarmUp(1, 5)
    if not (child := os.fork()):
        warm_up.run(RecordedEngine())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    engine = RecordedEngine()
    warm_up.run(engine)
    assert engine.steps == []


def test_a_model_computes_the_same_bits_after_it(tmp_path: Path) -> None:
    path = save("llama", tmp_path)
    engine = engine_of(path, "bfloat16")
    wanted = alone(engine_of(path, "bfloat16"), SAMPLED)
    compute(engine, 8, 64)
    assert alone(engine, SAMPLED) == wanted
    compute(engine, 3, 17)
    assert in_company(engine, SAMPLED, random.Random(1)) == wanted
