"""A fed token counts once, however the feeds were cut, and never for the row's next reply."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.sampling.sampler import SampledToken, Sampler
from rowcast.sampling_params import SamplingParams
from sampling.plain import distribution
from sampling.seats import CPU, chosen, logits_of, seated

SIZE = 1200
PENALTIES = SamplingParams(
    max_tokens=1, repetition_penalty=1.4, presence_penalty=0.3, frequency_penalty=0.7
)
LOGITS = logits_of(SIZE, scale=1.0)
tokens = st.lists(st.integers(0, SIZE - 1), max_size=30)


def found(sampler: Sampler) -> list[SampledToken]:
    return chosen(sampler, LOGITS, range(40))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(prompt=tokens, reply=tokens, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_cuts_change_nothing(prompt: list[int], reply: list[int], cuts: list[int]) -> None:
    whole = found(seated(PENALTIES, SIZE, prompt=prompt, reply=reply))
    pieces = Sampler(1, SIZE, frozenset(), CPU)
    pieces.seat(0, PENALTIES, 1, 0)
    edges = sorted({0, *cuts, 30})
    for first, last in pairwise(edges):
        pieces.observe(0, prompt[first:last], reply=False)
        chosen(pieces, LOGITS, [9])
    for token in reply:
        pieces.observe(0, [token], reply=True)
    assert found(pieces) == whole


def test_a_long_history_of_different_tokens() -> None:
    reply = [token for token in range(1000) if token % 3] * 2
    params = SamplingParams(max_tokens=1, temperature=0, frequency_penalty=50.0)
    (choice,) = chosen(seated(params, SIZE, reply=reply), LOGITS, [0])
    expected = distribution(LOGITS[0].tolist(), params, reply=reply)
    assert expected == {choice.token: 1.0}


def test_the_next_in_the_row_begins_anew() -> None:
    params = SamplingParams(max_tokens=1, temperature=0, frequency_penalty=1.0)
    sampler = seated(params, SIZE, reply=range(200, 900))
    found(sampler)
    sampler.observe(0, range(900, 1000), reply=True)  # recorded, but never used
    sampler.seat(0, params, 1, 0)
    sampler.observe(0, [7], reply=True)
    logits = torch.zeros(1, SIZE)
    logits[0, 7] = 1.5  # the likeliest after one penalty, but not after two
    assert [choice.token for choice in chosen(sampler, logits, [1])] == [7]


def test_tokens_beyond_the_vocabulary_touch_nobody() -> None:
    strange = [-1, SIZE, SIZE + 7, 2**40]
    params = SamplingParams(
        max_tokens=1,
        repetition_penalty=5.0,
        logit_bias=tuple((token, 99.0) for token in strange),
        banned_tokens=tuple(strange),
        stop_token_ids=tuple(strange),
        min_tokens=99,
    )
    plain = SamplingParams(max_tokens=1)
    sampler = Sampler(2, SIZE, frozenset(), CPU)
    for row in (0, 1):
        sampler.seat(row, (params, plain)[row], 1, 0)
        sampler.observe(row, strange, reply=True)
    logits = logits_of(SIZE, rows=2)
    logits[1] = logits[0]
    first, second = sampler.choose(logits, [0, 1], [3, 3])
    assert first == second
