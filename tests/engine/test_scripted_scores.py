"""The scripted engine's log-probabilities: made up by a rule, and consistent with one another."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.engine.engine import Drawn, Feed, Scores, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.sampling_params import SamplingParams

from . import rule

BOUNDED = settings(deadline=None, derandomize=True, max_examples=40)
PROMPTS = st.lists(st.integers(0, 3856), min_size=1, max_size=20)
SIZES = st.lists(st.integers(1, 6), max_size=20)
ASKING = SamplingParams(max_tokens=9, logprobs=True, prompt_logprobs=True, top_logprobs=3)


def fed(prompt: Sequence[int], sizes: Sequence[int], params: SamplingParams) -> list[Drawn]:
    """Feed a prompt in pieces, with scores; return everything that the engine draws."""
    engine = ScriptedEngine()
    engine.seat(0, Seating(params, 5, 0, len(prompt)))
    said, at = list[Drawn](), 0
    for size in [*sizes, len(prompt)]:
        some, end = prompt[at : at + size], at + size
        if some:
            feed = Feed(0, at, some, end >= len(prompt), prompt[at + 1 : end + 1])
            said += engine.step([feed])
        at = end
    return said


def scores(said: Sequence[Drawn]) -> list[Scores]:
    return [each.scores for each in said if each.scores is not None]


@pytest.mark.slow
@given(PROMPTS, SIZES)
@BOUNDED
def test_a_prompt_is_scored_by_the_rule_however_it_is_fed(
    prompt: list[int], sizes: list[int]
) -> None:
    found = scores(fed(prompt, sizes, ASKING))
    assert tuple(n for each in found for n in each.logprobs) == rule.prompt_logprobs(prompt)
    tops = [top for each in found for top in each.top or ()]
    assert tops == [rule.likeliest(prompt[:at], 3) for at in range(1, len(prompt))]


@pytest.mark.slow
@given(PROMPTS, SIZES)
@BOUNDED
def test_scoring_changes_nothing_of_what_is_drawn(prompt: list[int], sizes: list[int]) -> None:
    last = fed(prompt, sizes, ASKING)[-1]
    token = rule.next_token(prompt, 5, 0, 0)
    assert last.tokens == (token,)
    assert last.logprobs == (rule.logprob(prompt, token),)
    assert last.top == (rule.likeliest(prompt, 3),)


def test_the_likeliest_come_only_when_asked_for() -> None:
    params = SamplingParams(max_tokens=9, logprobs=True, prompt_logprobs=True)
    (last,) = fed(b"abc", [], params)
    assert last.top is None
    assert last.scores == Scores(rule.prompt_logprobs(b"abc"))


def test_probabilities_decrease_and_add_up_to_one() -> None:
    numbers = [number for _, number in rule.likeliest(b"abc", 3857)]
    assert numbers == sorted(numbers, reverse=True)
    assert math.isclose(math.fsum(map(math.exp, numbers)), 1, abs_tol=0.001)
