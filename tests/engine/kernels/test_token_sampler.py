"""The C token sampler selects the same tokens as the torch sampler, for every draw.

Covers `sampling/token_sampler`.
"""

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.engine.kernels.build import Kernel, load_kernel
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.kernels.threads import Threads
from rowcast.engine.kernels.token_sampler import SOURCE, NativeTokenSampler
from rowcast.sampling import mass
from rowcast.sampling.logprobs import report
from rowcast.sampling.sampler import Sampler
from rowcast.sampling_params import SamplingParams
from sampling.seats import CPU, END, chosen, logits_of
from sampling.test_purity import ROWS, Seat, choices, seats


@cache
def built() -> Kernel:
    return load_kernel(SOURCE)


def sampler(size: int, threads: Threads | None = None, rows: int = ROWS) -> Sampler:
    return Sampler(
        rows, size, frozenset({END}), CPU, NativeTokenSampler(built(), rows, size, threads)
    )


@pytest.mark.slow
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    company=st.lists(seats(), min_size=1, max_size=8),
    size=st.sampled_from([71, 130, 1000, 4099]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    order=st.permutations(range(ROWS)),
)
def test_it_chooses_what_the_reference_chooses(
    company: list[Seat], size: int, dtype: torch.dtype, order: list[int]
) -> None:
    rows = order[: len(company)]
    reference = Sampler(ROWS, size, frozenset({END}), CPU)
    expected = choices(size, dtype, company, rows, reference)
    assert choices(size, dtype, company, rows, sampler(size)) == expected


@pytest.mark.parametrize("size", [1, 2, 15, 17, 127, 129, 2048, 32_000])
@pytest.mark.parametrize(
    "asked",
    [
        SamplingParams(max_tokens=1, temperature=0),
        SamplingParams(max_tokens=1, top_k=7, top_p=0.8),
        SamplingParams(max_tokens=1, top_k=1000, temperature=3.0),
        SamplingParams(max_tokens=1, temperature=1.5, top_p=0.3),
        SamplingParams(max_tokens=1, temperature=0.8, min_p=0.02),
    ],
    ids=repr,
)
def test_every_draw_of_many_is_the_reference_s(size: int, asked: SamplingParams) -> None:
    logits = logits_of(size, seed=size)
    reference = Sampler(1, size, frozenset({END}), CPU)
    native = sampler(size, rows=1)
    for each in (reference, native):
        each.seat(0, asked, 11, 0)
    assert chosen(native, logits, range(64)) == chosen(reference, logits, range(64))


def test_equal_logits_everywhere_are_drawn_alike() -> None:
    logits = torch.full((1, 3000), -0.0)
    logits[0, 1::2] = 0.0
    for top_k in (1, 5, 700, 0):
        both = [Sampler(1, 3000, frozenset(), CPU), sampler(3000, rows=1)]
        for each in both:
            each.seat(0, SamplingParams(max_tokens=1, top_k=top_k, top_p=0.4), 3, 0)
        first, second = (chosen(each, logits, range(20)) for each in both)
        assert first == second


def test_the_threads_of_another_kernel_change_nothing() -> None:
    size, rows = 9000, 32
    linear = choose_linear(2)
    if linear is None:
        pytest.skip("no linear kernel here, whose threads it would use")
    logits = logits_of(size, rows=rows).bfloat16()
    tokens = []
    with linear:
        threads = linear.thread_pool
        for each in (sampler(size, rows=rows), sampler(size, threads, rows=rows)):
            for row in range(rows):
                each.seat(row, SamplingParams(max_tokens=1, top_p=0.9), row, 0)
            tokens.append(each.choose(logits, range(rows), [4] * rows))
    assert tokens[0] == tokens[1]


def test_a_row_of_the_batch_is_read_where_it_lies() -> None:
    """Logits may be part of a wider tensor, and several rows of it may be the same one."""
    wide = logits_of(2000, rows=6)
    both = [Sampler(4, 1000, frozenset(), CPU), sampler(1000, rows=4)]
    for each in both:
        for row in range(4):
            each.seat(row, SamplingParams(max_tokens=1, top_k=3), row, 0)
    first, second = (each.choose(wide[:4, :1000], range(4), [0] * 4) for each in both)
    assert first == second


def test_it_refuses_what_it_would_read_out_of_place() -> None:
    native = NativeTokenSampler(built(), 2, 100, None)
    for logits, rows in ((torch.zeros(1, 100), [0, 1]), (torch.zeros(2, 99), [0, 1])):
        with pytest.raises(ValueError, match="logits"):
            native.choose(logits, rows, [0, 0])
    with pytest.raises(ValueError, match="rows"):
        native.choose(torch.zeros(1, 100), [2], [0])
    assert not native.takes(torch.zeros(2, 100, dtype=torch.float16))
    assert not native.takes(torch.zeros(100, 2).T)


@pytest.mark.parametrize("size", [1, 2, 15, 17, 127, 129, 2048, 32_000, 151_936])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 0.01, 2.0, 60.0])
def test_log_probabilities_are_the_reference_s(size: int, dtype: torch.dtype, scale: float) -> None:
    logits = logits_of(size, rows=5, scale=scale).to(dtype)
    logits[1, ::2] = -0.0
    places, tokens = [4, 0, 1, 0, 3], [0, size - 1, size // 2, 0, size // 3]
    counts = [0, 20, 1, 5, 1000]
    scratch = torch.empty(5, mass.padded(size))
    chosen_tokens = torch.tensor(tokens).unsqueeze(1)
    expected = report(logits.float()[places], chosen_tokens, counts, scratch)
    native = NativeTokenSampler(built(), 5, size, None)
    assert native.report(logits, places, tokens, counts) == expected


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_has_no_log_probabilities_and_its_neighbours_have(
    bad: float,
) -> None:
    logits = logits_of(300, rows=3)
    native = NativeTokenSampler(built(), 3, 300, None)
    sound = native.report(logits, [0, 1, 2], [7, 8, 9], [2, 2, 2])
    logits[1, 250] = bad
    assert native.report(logits, [0, 1, 2], [7, 8, 9], [2, 2, 2]) == [sound[0], None, sound[2]]


def test_threads_change_no_log_probability() -> None:
    size, rows = 9000, 32
    linear = choose_linear(2)
    if linear is None:
        pytest.skip("no linear kernel here, whose threads it would use")
    logits = logits_of(size, rows=rows)
    given = (range(rows), range(rows), [5] * rows)
    with linear:
        alone = NativeTokenSampler(built(), rows, size, None).report(logits, *given)
        shared = NativeTokenSampler(built(), rows, size, linear.thread_pool).report(logits, *given)
    assert alone == shared


def test_it_reports_nothing_out_of_place() -> None:
    native, logits = NativeTokenSampler(built(), 2, 100, None), torch.zeros(2, 100)
    for wide, place in ((torch.zeros(2, 99), 0), (logits, 2), (logits, -1)):
        with pytest.raises(ValueError, match="places"):
            native.report(wide, [place], [0], [1])
    for token, count in ((100, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="likeliest"):
            native.report(logits, [0], [token], [count])


def test_without_vectors_of_512_bits_it_chooses_the_same() -> None:
    size = 4099
    asked = SamplingParams(max_tokens=1, temperature=1.2, top_p=0.7, logprobs=True, top_logprobs=3)
    narrow = NativeTokenSampler(load_kernel(SOURCE, machine="x86-64"), 1, size, None)
    both = [Sampler(1, size, frozenset(), CPU, narrow), sampler(size, rows=1)]
    for each in both:
        each.seat(0, asked, 5, 0)
    first, second = (chosen(each, logits_of(size), range(40)) for each in both)
    assert first == second
