"""Each parameter against the plain rules: which tokens may be drawn, and how often.

Covers `sampler`, `edits`, `draws`.
"""

from typing import Any

import pytest

from rowcast.sampling_params import SamplingParams
from sampling.plain import agrees, counted, distribution
from sampling.seats import END, drawn, logits_of, seated

SIZE = 300
DRAWS = range(100, 4100)
PROMPT = (7, 9, 9, 250, 31)
REPLY = (11, 9, 11, 11, 42)
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"temperature": 0.4},
    "hot": {"temperature": 7.0},
    "greedy": {"temperature": 0.0},
    "top_k 1": {"top_k": 1},
    "top_k 2": {"top_k": 2},
    "top_k 10": {"top_k": 10},
    "top_k 64": {"top_k": 64, "temperature": 3.0},
    "top_k 65": {"top_k": 65, "temperature": 3.0},
    "top_k 299": {"top_k": 299, "temperature": 3.0},
    "top_k of all": {"top_k": 300},
    "top_k beyond all": {"top_k": 9999},
    "top_k off": {"top_k": -1},
    "top_p": {"top_p": 0.7},
    "top_p, hot": {"top_p": 0.3, "temperature": 5.0},
    "top_p tiny": {"top_p": 1e-6},
    "top_k and top_p": {"top_k": 20, "top_p": 0.8},
    "min_p": {"min_p": 0.2},
    "min_p 1": {"min_p": 1.0},
    "top_p and min_p": {"top_p": 0.9, "min_p": 0.1},
    "all three": {"top_k": 30, "top_p": 0.9, "min_p": 0.15, "temperature": 1.5},
    "repetition": {"repetition_penalty": 1.8, "top_k": 50},
    "repetition below 1": {"repetition_penalty": 0.6},
    "presence": {"presence_penalty": 2.0},
    "presence below 0": {"presence_penalty": -2.0},
    "frequency": {"frequency_penalty": 1.5},
    "all penalties": {
        "repetition_penalty": 1.2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.3,
        "temperature": 2.0,
    },
    "bias": {"logit_bias": ((3, 6.0), (40, -100.0), (END, 4.0))},
    "bias and penalties": {"logit_bias": ((11, 5.0),), "frequency_penalty": 1.0, "top_k": 12},
    "allowed": {"allowed_tokens": (3, 8, 11, 77)},
    "allowed and top_p": {"allowed_tokens": tuple(range(40)), "top_p": 0.8},
    "banned": {"banned_tokens": (3, 8, *range(100, 299))},
    "banned and biased": {"banned_tokens": (3,), "logit_bias": ((3, 50.0),)},
    "ignore_eos": {"ignore_eos": True, "logit_bias": ((END, 9.0),)},
    "min_tokens ahead": {"min_tokens": 5000, "stop_token_ids": (8,), "logit_bias": ((8, 9.0),)},
    "min_tokens passed": {"min_tokens": 100, "stop_token_ids": (8,), "logit_bias": ((8, 9.0),)},
}


@pytest.mark.parametrize("case", CASES)
def test_tokens_are_drawn_as_the_parameters_say(case: str) -> None:
    params = SamplingParams(max_tokens=1, **CASES[case])
    logits = logits_of(SIZE, seed=3)
    sampler = seated(params, SIZE, prompt=PROMPT, reply=REPLY)
    expected = distribution(
        logits[0].tolist(), params, prompt=PROMPT, reply=REPLY, position=100, end_tokens=(END,)
    )
    assert agrees(counted(drawn(sampler, logits, DRAWS)), expected)


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
def test_an_end_may_come_from_min_tokens_on(reached: int) -> None:
    params = SamplingParams(max_tokens=9, temperature=0, min_tokens=2, stop_token_ids=(8,))
    for end in (END, 8):
        logits = logits_of(SIZE)
        logits[0, end] = 50
        (token,) = drawn(seated(params, SIZE), logits, [reached])
        assert (token == end) == (reached >= 2)


def test_ignore_eos_leaves_the_request_s_own_stop_tokens() -> None:
    params = SamplingParams(max_tokens=9, temperature=0, ignore_eos=True, stop_token_ids=(8,))
    logits = logits_of(SIZE)
    logits[0, END], logits[0, 8] = 50, 40
    assert drawn(seated(params, SIZE), logits, [0]) == [8]


@pytest.mark.parametrize("repetition", [1.0, 1.001])
def test_a_prompt_s_tokens_are_not_the_reply_s(repetition: float) -> None:
    params = SamplingParams(
        max_tokens=9, temperature=0, presence_penalty=100, repetition_penalty=repetition
    )
    logits = logits_of(SIZE)
    best = int(logits.argmax())
    logits[0, best] += 1
    assert drawn(seated(params, SIZE, prompt=[best]), logits, [0]) == [best]
    assert drawn(seated(params, SIZE, reply=[best]), logits, [0]) != [best]


@pytest.mark.parametrize("top_k", [0, 5])
@pytest.mark.parametrize(("top_p", "kept"), [(0.2, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3)])
def test_the_token_that_reaches_top_p_is_the_last(top_p: float, kept: int, top_k: int) -> None:
    quarters = [10, 20, 30, 40]
    logits = logits_of(SIZE)
    logits[:] = -100
    logits[0, quarters] = 0
    params = SamplingParams(max_tokens=1, top_p=top_p, top_k=top_k)
    assert set(drawn(seated(params, SIZE), logits, range(300))) == set(quarters[:kept])
