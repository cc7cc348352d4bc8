"""Rows that cannot be sampled fail alone; extreme parameters do not fail.

Covers `sampler`, `draws`.
"""

import math
from typing import Any

import pytest
import torch

from rowcast.sampling.sampler import SampledToken, Sampler
from rowcast.sampling_params import SamplingParams
from sampling.seats import CPU, END, chosen, drawn, logits_of, seated

SIZE = 400
FAILED = SampledToken(-1, failed=True)
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "few": {"top_k": 10, "top_p": 0.9},
    "many": {"top_k": 100, "min_p": 0.01},
    "open": {"min_p": 0.001},
    "nucleus": {"top_p": 0.5},
    "edited": {"repetition_penalty": 1.5, "logit_bias": ((3, 1.0),)},
    "with logprobs": {"top_p": 0.9, "logprobs": True, "top_logprobs": 4},
}


def asked(case: str, **more: Any) -> SamplingParams:
    return SamplingParams(max_tokens=9, **WAYS[case], **more)


@pytest.mark.parametrize("case", WAYS)
@pytest.mark.parametrize("poison", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_poisoned_row_fails_alone(case: str, poison: float, everywhere: bool) -> None:
    sampler = Sampler(3, SIZE, frozenset({END}), CPU)
    for row in range(3):
        sampler.seat(row, asked(case), 1, 0)
        sampler.observe(row, [3, 4], reply=True)
    logits = logits_of(SIZE, rows=3)
    sound = sampler.choose(logits, [0, 1, 2], [0, 0, 0])
    logits[1, slice(None) if everywhere else SIZE - 1] = poison
    poisoned = sampler.choose(logits, [0, 1, 2], [0, 0, 0])
    assert poisoned == [sound[0], FAILED, sound[2]]
    assert not sound[1].failed


@pytest.mark.parametrize("case", WAYS)
def test_a_row_without_a_token_to_choose_fails(case: str) -> None:
    params = asked(case, banned_tokens=tuple(range(SIZE)))
    assert chosen(seated(params, SIZE), logits_of(SIZE), [0]) == [FAILED]
    params = asked(case, allowed_tokens=(END,), min_tokens=2)
    choices = chosen(seated(params, SIZE), logits_of(SIZE), [1, 2])
    assert choices[0] == FAILED
    assert choices[1].token == END


@pytest.mark.parametrize("case", WAYS)
def test_only_the_last_token_is_left(case: str) -> None:
    params = asked(case, banned_tokens=tuple(range(SIZE - 1)))
    assert set(drawn(seated(params, SIZE), logits_of(SIZE), range(20))) == {SIZE - 1}


@pytest.mark.parametrize("size", [1, 2, 31, 127, 128, 129])
@pytest.mark.parametrize("case", WAYS)
def test_small_vocabularies(size: int, case: str) -> None:
    tokens = drawn(seated(asked(case), size), logits_of(size), range(50))
    assert all(0 <= token < size for token in tokens)


@pytest.mark.parametrize("top_k", [0, 40])
@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 1e-4, 0.01])
def test_a_very_low_temperature_is_greedy(temperature: float, top_k: int) -> None:
    logits = torch.linspace(-5, 5, SIZE).unsqueeze(0)
    params = SamplingParams(max_tokens=1, temperature=temperature, top_k=top_k)
    found = drawn(seated(params, SIZE), logits, range(50))
    assert all(token >= SIZE - 40 for token in found)
    assert temperature > 1e-3 or set(found) == {SIZE - 1}


def test_a_temperature_of_100_is_nearly_even() -> None:
    params = SamplingParams(max_tokens=1, temperature=100)
    found = drawn(seated(params, SIZE), logits_of(SIZE), range(4000))
    assert len(set(found)) > 0.99 * SIZE


@pytest.mark.parametrize("top_k", [0, 50])
@pytest.mark.parametrize("top_p", [0.0, 1e-300, 0.01])
def test_a_tiny_top_p_keeps_the_likeliest(top_p: float, top_k: int) -> None:
    params = SamplingParams(max_tokens=1, top_p=top_p, top_k=top_k)
    logits = logits_of(SIZE)
    logits[0, 77] = 20
    assert set(drawn(seated(params, SIZE), logits, range(50))) == {77}


@pytest.mark.parametrize("case", WAYS)
def test_huge_logits(case: str) -> None:
    logits = logits_of(SIZE)
    logits[0, 9], logits[0, 10] = 3e38, -3e38
    assert set(drawn(seated(asked(case), SIZE), logits, range(9))) == {9}


@pytest.mark.parametrize("case", WAYS)
def test_a_large_vocabulary(case: str) -> None:
    size = 151_936
    logits = logits_of(size, scale=3.0)
    tokens = drawn(seated(asked(case), size), logits, range(8))
    assert all(0 <= token < size for token in tokens)


def test_an_empty_seat_is_an_error() -> None:
    sampler = Sampler(2, SIZE, frozenset(), CPU)
    assert sampler.choose(logits_of(SIZE, rows=0), [], []) == []
    with pytest.raises(ValueError, match="row 1"):
        sampler.choose(logits_of(SIZE), [1], [0])
