"""The GPU's token sampler selects the tokens that sampling's own does, for every draw.

Covers `choosing`, `gpu/ranking`, `weighing`.
"""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels.gpu.device import DEVICE, GPU
from rowcast.engine.kernels.gpu.token_sampler import TritonTokenSampler
from rowcast.sampling.sampler import Sampler
from rowcast.sampling_params import SamplingParams
from sampling.seats import CPU, END, chosen, logits_of
from sampling.test_purity import ROWS, Seat, logits_for, seats

pytestmark = pytest.mark.timeout(600)  # the interpreter is slow
EDITED = SamplingParams(
    max_tokens=1,
    temperature=0.8,
    top_p=0.9,
    repetition_penalty=1.3,
    presence_penalty=0.2,
    frequency_penalty=0.1,
    logit_bias=((3, 2.0),),
    banned_tokens=(4,),
    allowed_tokens=tuple(range(0, 100, 3)),
    min_tokens=2,
    logprobs=True,
    top_logprobs=2,
)


def samplers(size: int, rows: int = 1) -> Iterator[tuple[Sampler, torch.device]]:
    """Yield ours, and the reference on the CPU, each with where its logits are."""
    ends = frozenset({END})
    yield Sampler(rows, size, ends, DEVICE, TritonTokenSampler(rows, size, DEVICE)), DEVICE
    yield Sampler(rows, size, ends, CPU), CPU


def ours(size: int, rows: int = 1) -> Sampler:
    """Return a sampler that uses our kernel."""
    return next(samplers(size, rows))[0]


@pytest.mark.parametrize("size", [1, 129, 2100])
@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(max_tokens=1, temperature=0),
        SamplingParams(max_tokens=1, top_k=7, top_p=0.8),
        SamplingParams(max_tokens=1, top_k=1000, temperature=3.0, min_p=0.02),
        SamplingParams(max_tokens=1, temperature=1.5, top_p=0.3),
        SamplingParams(max_tokens=1, temperature=0.8, min_p=0.02),
        EDITED,
    ],
    ids=["greedy", "few", "many", "nucleus", "min_p", "edited"],
)
def test_every_draw_is_the_reference_s(size: int, params: SamplingParams) -> None:
    logits = logits_of(size, seed=size)
    found = []
    for each, device in samplers(size):
        each.seat(0, params, 11, 0)
        each.observe(0, [token % size for token in (0, 7, 7, 30)], reply=False)
        each.observe(0, [token % size for token in (7, 60)], reply=True)
        found.append(chosen(each, logits.to(device), range(3)))
    assert found[0] == found[1]


@settings(max_examples=400 if GPU else 8, deadline=None, derandomize=True)
@given(
    company=st.lists(seats(), min_size=1, max_size=4),
    size=st.sampled_from([71, 130, 1100]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    order=st.permutations(range(ROWS)),
)
def test_any_company_is_chosen_for_like_the_reference(
    company: list[Seat], size: int, dtype: torch.dtype, order: list[int]
) -> None:
    logits = torch.stack([logits_for(size, which, dtype) for *_, which in company])
    positions = [position for _, _, _, position, *_ in company]
    rows, found = order[: len(company)], []
    for each, device in samplers(size, ROWS):
        for row, (params, seed, choice, _, prompt, reply, _) in zip(rows, company, strict=True):
            each.seat(row, params, seed, choice)
            each.observe(row, prompt, reply=False)
            each.observe(row, reply, reply=True)
        found.append(each.choose(logits.to(device), rows, positions))
    assert found[0] == found[1]


@pytest.mark.parametrize("top_k", [5, 700, 0])
def test_equal_logits_everywhere_are_drawn_alike(top_k: int) -> None:
    logits = torch.full((1, 1500), -0.0)
    logits[0, 1::2] = 0.0
    found = []
    for each, device in samplers(1500):
        each.seat(0, SamplingParams(max_tokens=1, top_k=top_k, top_p=0.4), 3, 0)
        found.append(chosen(each, logits.to(device), range(2)))
    assert found[0] == found[1]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_row_that_is_not_finite_fails_alone(bad: float) -> None:
    logits = logits_of(200, rows=3).to(DEVICE)
    logits[1, 150] = bad
    sampler = ours(200, 3)
    for row in range(3):
        sampler.seat(row, SamplingParams(max_tokens=1, top_k=1), row, 0)
    found = sampler.choose(logits, [0, 1, 2], [0, 0, 0])
    assert [each.failed for each in found] == [False, True, False]
    assert found[0].token == int(logits[0].argmax())


def test_a_row_with_nothing_left_to_choose_fails() -> None:
    sampler = ours(20)
    sampler.seat(0, SamplingParams(max_tokens=1, banned_tokens=tuple(range(20))), 1, 0)
    assert sampler.choose(logits_of(20).to(DEVICE), [0], [0])[0].failed


def test_a_row_of_the_batch_is_read_where_it_lies() -> None:
    wide = logits_of(300, rows=2)
    found = []
    for each, device in samplers(200, 2):
        for row in range(2):
            each.seat(row, SamplingParams(max_tokens=1, top_k=3), row, 0)
        found.append(each.choose(wide.to(device)[:, :200], [1, 0], [4, 5]))
    assert found[0] == found[1]


def test_it_refuses_what_it_would_read_out_of_place() -> None:
    sampler = TritonTokenSampler(2, 100, DEVICE)
    for shape, rows in (((1, 100), [0, 1]), ((2, 99), [0, 1])):
        with pytest.raises(ValueError, match="logits"):
            sampler.choose(torch.zeros(shape, device=DEVICE), rows, [0, 0])
    with pytest.raises(ValueError, match="rows"):
        sampler.choose(torch.zeros(1, 100, device=DEVICE), [2], [0])
    assert not sampler.takes(torch.zeros(2, 100, dtype=torch.float16, device=DEVICE))
    assert not sampler.takes(torch.zeros(100, 2, device=DEVICE).T)
