"""Candidates of beam searches: the likeliest tokens by log-probability, edited as requested."""

import math

import pytest
import torch

from rowcast.sampling.candidates import Amount, Ranked
from rowcast.sampling.sampler import Sampler
from rowcast.sampling_params import SamplingParams
from sampling.seats import CPU, END, logits_of, seated

PLAIN = SamplingParams(max_tokens=9, temperature=0.0, beams=4)
EDITED = SamplingParams(
    max_tokens=9,
    temperature=0.0,
    beams=4,
    min_tokens=2,
    banned_tokens=(3, 4),
    logit_bias=((7, 50.0),),
    repetition_penalty=1.5,
)


def ranked(
    sampler: Sampler, logits: torch.Tensor, count: int = 6, top: int = 0, position: int = 0
) -> Ranked:
    (found,) = sampler.rank(logits, [0], [position], [Amount(count, top)])
    assert found is not None
    return found


@pytest.mark.parametrize("size", [4, 300, pytest.param(40_000, marks=pytest.mark.slow)])
def test_they_are_the_likeliest_tokens_with_their_log_probabilities(size: int) -> None:
    logits = logits_of(size)
    found = ranked(seated(PLAIN, size), logits, top=2)
    plain = logits.double().log_softmax(-1)[0].tolist()
    best = sorted(range(size), key=lambda token: (-logits[0, token], token))[:6]
    assert [*found.tokens] == best
    assert found.scores == pytest.approx(found.logprobs, abs=2e-6)
    assert found.logprobs == pytest.approx([plain[token] for token in best], abs=2e-6)
    assert found.top == tuple(zip(best, found.logprobs, strict=True))[:2]


def test_they_equal_what_a_drawn_token_reports() -> None:
    logits = logits_of(300)
    greedy = SamplingParams(max_tokens=9, temperature=0.0, logprobs=True, top_logprobs=6)
    (drawn,) = seated(greedy, 300).choose(logits, [0], [0])
    found = ranked(seated(PLAIN, 300), logits, top=6)
    assert found.top == drawn.top


def test_edits_change_scores_and_leave_log_probabilities() -> None:
    logits = logits_of(300)
    found = ranked(seated(EDITED, 300, prompt=[9], reply=[11]), logits, count=300, top=3)
    plain = logits.double().log_softmax(-1)[0].tolist()
    scores = dict(zip(found.tokens, found.scores, strict=True))
    assert found.tokens[0] == 7
    assert not {3, 4, END} & scores.keys()
    assert scores[7] == pytest.approx(plain[7] + 50, abs=1e-5)
    for token in (9, 11):
        assert scores[token] == pytest.approx(1.5 * plain[token], abs=1e-5)
    assert scores[12] == pytest.approx(plain[12], abs=1e-5)
    own = dict(zip(found.tokens, found.logprobs, strict=True))
    assert own == pytest.approx({token: plain[token] for token in own}, abs=2e-6)
    best = sorted(range(300), key=lambda token: (-plain[token], token))[:3]
    assert [token for token, _ in found.top] == best


def test_the_end_may_follow_once_it_may() -> None:
    found = ranked(seated(EDITED, 300), logits_of(300), count=300, position=2)
    assert END in found.tokens


def test_a_row_does_not_depend_on_others() -> None:
    logits = logits_of(300, rows=5)
    sampler = Sampler(5, 300, frozenset({END}), CPU)
    for row in range(5):
        sampler.seat(row, EDITED if row % 2 else PLAIN, 1, row)
        sampler.observe(row, [row, 40 + row], reply=True)
    amounts = [Amount(6 + row, row) for row in range(5)]
    together = sampler.rank(logits, [*range(5)], [0] * 5, amounts)
    for row in range(5):
        alone = sampler.rank(logits[row : row + 1], [row], [0], [amounts[row]])
        assert alone == [together[row]]


def test_a_row_whose_past_was_forgotten_begins_again() -> None:
    logits = logits_of(300)
    sampler = seated(EDITED, 300, reply=[9, 11])
    sampler.forget(0)
    sampler.observe(0, [12], reply=True)
    assert ranked(sampler, logits) == ranked(seated(EDITED, 300, reply=[12]), logits)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_that_failed_has_none(bad: float) -> None:
    logits = logits_of(300, rows=2)
    logits[1, 17] = bad
    sampler = Sampler(2, 300, frozenset({END}), CPU)
    for row in range(2):
        sampler.seat(row, PLAIN, 1, row)
    good, failed = sampler.rank(logits, [0, 1], [0, 0], [Amount(6, 0)] * 2)
    assert good is not None
    assert failed is None


def test_a_row_without_a_token_left_has_none() -> None:
    params = SamplingParams(
        max_tokens=9, temperature=0.0, beams=2, min_tokens=3, allowed_tokens=(END,)
    )
    sampler = seated(params, 300)
    assert sampler.rank(logits_of(300), [0], [0], [Amount(6, 0)]) == [None]
