"""Log-probabilities are of the model's own distribution, whatever the parameters."""

import math

import pytest
import torch

from rowcast.sampling.sampler import SampledToken
from rowcast.sampling_params import SamplingParams
from sampling.seats import chosen, logits_of, seated


def plainly(logits: torch.Tensor) -> list[float]:
    row = logits[0].tolist()
    top = max(row)
    norm = top + math.log(math.fsum(math.exp(each - top) for each in row))
    return [each - norm for each in row]


@pytest.mark.parametrize("size", [3, 300, 40_000])
@pytest.mark.parametrize("scale", [0.01, 3.0, 40.0])
def test_chosen_and_likeliest(size: int, scale: float) -> None:
    params = SamplingParams(
        max_tokens=1,
        temperature=2.0,
        top_k=2,
        logit_bias=((1, 30.0),),
        logprobs=True,
        top_logprobs=3,
    )
    logits = logits_of(size, scale=scale)
    expected = plainly(logits)
    for choice in chosen(seated(params, size), logits, range(4)):
        assert choice.logprob == pytest.approx(expected[choice.token], abs=2e-6)
        best = sorted(range(size), key=lambda token: (-expected[token], token))[:3]
        assert choice.top is not None
        assert [token for token, _ in choice.top] == best
        assert [found for _, found in choice.top] == pytest.approx(
            [expected[token] for token in best], abs=2e-6
        )


@pytest.mark.parametrize("count", [0, 1, 20])
def test_as_many_as_asked_for(count: int) -> None:
    params = SamplingParams(max_tokens=1, temperature=0, logprobs=True, top_logprobs=count)
    (choice,) = chosen(seated(params, 300), logits_of(300), [0])
    assert (0 if choice.top is None else len(choice.top)) == count
    if choice.top:
        assert choice.top[0] == (choice.token, choice.logprob)


def test_more_than_there_are() -> None:
    params = SamplingParams(max_tokens=1, temperature=0, logprobs=True, top_logprobs=20)
    (choice,) = chosen(seated(params, 4), logits_of(4), [0])
    assert choice.top is not None
    assert sorted(token for token, _ in choice.top) == [0, 1, 2, 3]


def test_none_unless_asked_for() -> None:
    params = SamplingParams(max_tokens=1, temperature=0, top_logprobs=5)
    logits = logits_of(300)
    assert chosen(seated(params, 300), logits, [0]) == [SampledToken(int(logits.argmax()))]


def test_a_certain_token_has_probability_one() -> None:
    logits = torch.full((1, 300), -200.0)
    logits[0, 3] = 200
    params = SamplingParams(max_tokens=1, logprobs=True)
    (choice,) = chosen(seated(params, 300), logits, [0])
    assert (choice.token, choice.logprob) == (3, 0.0)
