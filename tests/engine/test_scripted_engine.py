"""The scripted engine as an engine: rows, feeds, and their independence.

Covers `engine/engine`, `scripted_vocabulary`.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.engine.engine import Drawn, Engine, Feed, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.sampling_params import SamplingParams

from . import rule

BOUNDED = settings(deadline=None, derandomize=True, max_examples=80)
OPENINGS = st.sampled_from([0xC3, 0xE6, 0xF0, 0x9F])  # characters that a feed may split
PROMPTS = st.lists(st.integers(0, 3856) | OPENINGS, min_size=1, max_size=30)
SIZES = st.lists(st.integers(1, 9), max_size=30)


def seating(prompt: Sequence[int], seed: int = 0, *, logprobs: bool = False) -> Seating:
    return Seating(SamplingParams(max_tokens=99, logprobs=logprobs), seed, 0, len(prompt))


def parts(prompt: Sequence[int], sizes: Sequence[int]) -> list[Feed]:
    """Return `prompt` as feeds of the given sizes for row 0; the last one draws."""
    feeds, at = [], 0
    for size in [*sizes, len(prompt)]:
        some = prompt[at : at + size]
        if some:
            feeds.append(Feed(0, at, some, draws=at + len(some) == len(prompt)))
        at += size
    return feeds


@pytest.mark.slow
@given(PROMPTS, SIZES, st.integers(0, 2**63 - 1))
@BOUNDED
def test_how_a_prompt_is_cut_into_feeds_makes_no_difference(
    prompt: list[int], sizes: list[int], seed: int
) -> None:
    engine = ScriptedEngine()
    engine.seat(0, seating(prompt, seed))
    *early, last = (engine.step([feed]) for feed in parts(prompt, sizes))
    assert early == [[]] * len(early)
    assert last == [Drawn(0, (rule.next_token(prompt, seed, 0, 0),))]


@pytest.mark.slow
@given(st.lists(PROMPTS, min_size=1, max_size=8), st.permutations(range(32)))
@BOUNDED
def test_neither_row_nor_neighbours_change_what_is_drawn(
    prompts: list[list[int]], rows: list[int]
) -> None:
    engine = ScriptedEngine()
    seated = list(zip(rows, prompts, strict=False))
    for row, prompt in seated:
        engine.seat(row, seating(prompt, seed=7))
    drawn = engine.step([Feed(row, 0, prompt, draws=True) for row, prompt in seated])
    assert drawn == [Drawn(row, (rule.next_token(prompt, 7, 0, 0),)) for row, prompt in seated]


def test_a_row_begins_anew_when_it_is_seated_again() -> None:
    engine = ScriptedEngine()
    engine.seat(3, seating(b"old"))
    engine.step([Feed(3, 0, b"old", draws=True)])
    engine.seat(3, seating(b"new"))
    assert engine.step([Feed(3, 0, b"new", draws=True)]) == [
        Drawn(3, (rule.next_token(b"new", 0, 0, 0),))
    ]


def test_delivered_tokens_are_fed_like_a_prompt_and_count_as_reply() -> None:
    tokens, _ = rule.reply(b"recover", 5, 6)
    engine = ScriptedEngine()
    engine.seat(0, seating(b"recover", 5))
    drawn = engine.step([Feed(0, 0, [*b"recover", *tokens[:5]], draws=True)])
    assert drawn == [Drawn(0, tokens[5:6])]


@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_feed_at_the_wrong_position_is_refused(position: int) -> None:
    engine = ScriptedEngine()
    engine.seat(0, seating(b"abc"))
    engine.step([Feed(0, 0, b"abc", draws=False)])
    with pytest.raises(ValueError, match="row 0 has 3 tokens"):
        engine.step([Feed(0, position, b"d", draws=True)])


def test_log_probabilities_come_only_when_asked_for() -> None:
    engine = ScriptedEngine()
    engine.seat(0, seating(b"a"))
    engine.seat(1, seating(b"a", logprobs=True))
    plain, asked = engine.step([Feed(row, 0, b"a", draws=True) for row in (0, 1)])
    assert plain.logprobs is None
    assert asked.logprobs is not None
    assert len(asked.logprobs) == len(asked.tokens)


def test_the_scripted_engine_is_an_engine_of_32_rows() -> None:
    engine: Engine = ScriptedEngine()
    engine.compile()
    assert (engine.model, engine.rows) == ("scripted", 32)
    assert engine.width >= engine.rows
    assert engine.end_tokens == {256}
