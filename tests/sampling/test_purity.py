"""A row's choice does not depend on the other rows or on its own position in the batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rowcast.sampling import mass
from rowcast.sampling.sampler import SampledToken, Sampler
from rowcast.sampling_params import SamplingParams
from sampling.seats import CPU, END

ROWS = 12
tokens = st.lists(st.integers(0, 9), max_size=6)
params = st.builds(
    SamplingParams,
    max_tokens=st.just(9),
    temperature=st.sampled_from([0.0, 0.01, 0.7, 1.0, 3.0, 100.0]),
    top_k=st.sampled_from([-1, 0, 0, 0, 1, 2, 10, 64, 65, 200, 9999]),
    top_p=st.sampled_from([1.0, 1.0, 0.95, 0.5, 0.01]),
    min_p=st.sampled_from([0.0, 0.0, 0.05, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.0, 1.3, 0.7]),
    presence_penalty=st.sampled_from([0.0, 0.0, 0.5]),
    frequency_penalty=st.sampled_from([0.0, 0.0, 0.25]),
    logit_bias=st.sampled_from([(), (), ((3, 2.5), (4, -1.0))]),
    allowed_tokens=st.sampled_from([(), (), (1, 2, 3, 30), tuple(range(0, 70, 2))]),
    banned_tokens=st.sampled_from([(), (), (0, 1, 2)]),
    min_tokens=st.sampled_from([0, 0, 3]),
    ignore_eos=st.booleans(),
    logprobs=st.booleans(),
    top_logprobs=st.integers(0, 5),
)


@st.composite
def seats(draw: st.DrawFn) -> tuple[SamplingParams, int, int, int, list[int], list[int], int]:
    """Draw parameters, seed, choice, position, prompt, reply, and an index of logits."""
    numbers = [draw(st.integers(0, high)) for high in (2**63 - 1, 3, 5)]
    seed, choice, position = numbers
    which = draw(st.integers(0, 99))
    return draw(params), seed, choice, position, draw(tokens), draw(tokens), which


Seat = tuple[SamplingParams, int, int, int, list[int], list[int], int]


def logits_for(size: int, which: int, dtype: torch.dtype) -> Tensor:
    """Return logits from flat to peaked; some rows fail."""
    generator = torch.Generator().manual_seed(which)
    logits = torch.randn(size, generator=generator) * (0.01, 1.0, 3.0, 30.0)[which % 4]
    if which % 25 == 24:
        logits[which % size] = (torch.nan, torch.inf, -torch.inf, torch.nan)[which // 25]
    return logits.to(dtype)


def choices(
    size: int, dtype: torch.dtype, company: list[Seat], rows: list[int], sampler: Sampler
) -> list[SampledToken]:
    """Return the choices of a company that is seated in `rows` and computed together."""
    for row, (asked, seed, choice, _, prompt, reply, _) in zip(rows, company, strict=True):
        sampler.seat(row, asked, seed, choice)
        sampler.observe(row, prompt, reply=False)
        sampler.observe(row, reply, reply=True)
    logits = torch.stack([logits_for(size, which, dtype) for *_, which in company])
    return sampler.choose(logits, rows, [seat[3] for seat in company])


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    company=st.lists(seats(), min_size=1, max_size=8),
    others=st.lists(seats(), min_size=1, max_size=4),
    size=st.sampled_from([71, 130, 1000, 4099]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    order=st.permutations(range(ROWS)),
)
def test_company_changes_nothing(
    company: list[Seat], others: list[Seat], size: int, dtype: torch.dtype, order: list[int]
) -> None:
    used = Sampler(ROWS, size, frozenset({END}), CPU)
    choices(size, dtype, others, order[: len(others)], used)  # the rows' previous occupants
    together = choices(size, dtype, company, order[: len(company)], used)
    alone = [
        choices(size, dtype, [seat], [0], Sampler(1, size, frozenset({END}), CPU))[0]
        for seat in company
    ]
    assert together == alone


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True)
@given(company=st.lists(seats(), min_size=2, max_size=8), data=st.data())
def test_the_order_of_asking_changes_nothing(company: list[Seat], data: st.DataObject) -> None:
    size, dtype = 1000, torch.bfloat16
    order = data.draw(st.permutations(range(len(company))))
    straight = choices(
        size, dtype, company, list(range(len(company))), Sampler(8, size, frozenset(), CPU)
    )
    turned = choices(
        size, dtype, [company[place] for place in order], order, Sampler(8, size, frozenset(), CPU)
    )
    assert turned == [straight[place] for place in order]


@pytest.mark.slow
def test_large_rows_keep_their_bits_in_company() -> None:
    """Rows large enough for threads and vector kernels to split the work differently."""
    torch.set_num_threads(2)
    size, company = 50_021, list[Seat]()
    for which in range(9):
        asked = SamplingParams(
            max_tokens=1, top_p=(1.0, 0.9)[which % 2], logprobs=True, top_logprobs=20
        )
        company.append((asked, which, 0, 3, [], [], which))
    together = choices(
        size, torch.float32, company, list(range(9)), Sampler(9, size, frozenset(), CPU)
    )
    for place, seat in enumerate(company):
        alone = Sampler(1, size, frozenset(), CPU)
        assert choices(size, torch.float32, [seat], [0], alone) == [together[place]]


def test_flags_of_a_grammar_that_are_lifted_do_not_return_in_company() -> None:
    logits = logits_for(300, 1, torch.float32).repeat(2, 1)
    least = int(logits[0].argmin())
    refused = torch.arange(300) != least
    params = SamplingParams(max_tokens=9, temperature=0.0, logit_bias=((3, 0.5),), grammar="any")
    sampler, alone = (Sampler(2, 300, frozenset({END}), CPU) for _ in range(2))
    alone.seat(0, params, 1, 0)
    for row in range(2):
        sampler.seat(row, params, 1, 0)
        sampler.refuse(row, refused)
    assert [each.token for each in sampler.choose(logits, [0, 1], [0, 0])] == [least] * 2
    sampler.refuse(1, refused)
    free, limited = sampler.choose(logits, [0, 1], [1, 1])
    assert limited.token == least
    assert [free] == alone.choose(logits[:1], [0], [1])


def test_logits_are_not_written() -> None:
    sampler = Sampler(3, 500, frozenset({END}), CPU)
    asked = [
        SamplingParams(max_tokens=1, repetition_penalty=2.0, logprobs=True),
        SamplingParams(max_tokens=1, top_p=0.5, min_p=0.1),
        SamplingParams(max_tokens=1, allowed_tokens=(1, 2), top_k=4),
    ]
    for row, each in enumerate(asked):
        sampler.seat(row, each, 1, 0)
        sampler.observe(row, [1, 2, 3], reply=True)
    logits = torch.stack([logits_for(500, which, torch.float32) for which in range(3)])
    before = logits.clone()
    sampler.choose(logits, [0, 1, 2], [0, 0, 0])
    assert torch.equal(logits, before)


def test_weights_have_the_same_bits_wherever_the_row_stands() -> None:
    values = torch.randn(40, 333, generator=torch.Generator().manual_seed(1)) * 9
    top = values.amax(-1, keepdim=True)
    room = torch.empty(40, mass.padded(333))
    whole = mass.folded(mass.weigh(values, top, None, room)).clone()
    for first, last in ((0, 1), (3, 10), (39, 40), (1, 38)):
        part = mass.weigh(values[first:last], top[first:last], None, room[: last - first])
        assert torch.equal(mass.folded(part), whole[first:last])
