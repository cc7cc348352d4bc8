"""The bits of a token's attention depend only on its query and its row up to its position.

Each token is first computed alone: one row, one token per step, a cache no longer than needed, one
thread. Then the same tokens are fed in pieces of any size, in any company and order, in any row of
any cache, by one thread or two; every bit must be the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.kernels.attention_cases import Caches, Options, Shape, implementation, split, states
from rowcast.engine.kernels.attention import Attention

pytestmark = pytest.mark.slow

SHAPES = {
    "grouped": Shape(6, 2, 24, 40),
    "plain": Shape(2, 2, 16, 16),
    "shared": Shape(9, 1, 17, 9),
}
LONGEST = 1200


@dataclass(frozen=True, slots=True)
class Subject:
    """A row's tokens; the results of the last few are compared."""

    shape: Shape
    query: Tensor
    key: Tensor
    value: Tensor
    how: Options

    @classmethod
    def drawn(
        cls, seed: int, shape: Shape, held: int, dtype: torch.dtype, option: str
    ) -> "Subject":
        torch.manual_seed(seed)
        return cls(
            shape,
            states(held, shape.heads, shape.key_size, dtype),
            states(held, shape.kv_heads, shape.key_size, dtype),
            states(held, shape.kv_heads, shape.value_size, dtype),
            shape.options(LONGEST)[option],
        )

    def alone(self, attention: Attention, first: int) -> dict[int, Tensor]:
        """Compute each token from `first` on, alone."""
        results = {}
        for position in range(first, len(self.query)):
            end = position + 1
            caches = Caches(self.shape, 1, end, self.query.dtype)
            caches.fill(0, self.key[:end], self.value[:end])
            query = self.query[position:end]
            results[position] = caches.attend(attention, query, [(0, position)], self.how)[0]
        return results


@dataclass(frozen=True, slots=True)
class Company:
    """The conditions that differ between two computations of the same tokens."""

    rows: int
    row: int
    slack: int
    pieces: list[int]
    neighbours: list[tuple[int, int]]  # (row, position) of other tokens in the batch
    order: int
    threads: int


COMPANIES = st.integers(1, 6).flatmap(
    lambda rows: st.builds(
        Company,
        rows=st.just(rows),
        row=st.integers(0, rows - 1),
        slack=st.integers(0, 130),
        pieces=st.lists(st.integers(1, 9), min_size=1, max_size=12),
        neighbours=st.lists(
            st.tuples(st.integers(-1, rows - 1), st.sampled_from([0, 5, 63, 64, 200, 700])),
            max_size=6,
        ),
        order=st.integers(0, 2**31),
        threads=st.integers(1, 2),
    )
)


@pytest.fixture(scope="module", params=["native", "x86-64", "torch"])
def attention(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Attention:
    return implementation(request.param, tmp_path_factory.getbasetemp() / "kernels")


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def in_company(
    attention: Attention, subject: Subject, first: int, company: Company
) -> Mapping[int, Tensor]:
    """Compute the subject's tokens from `first` on, in this company."""
    held, dtype, shape = len(subject.query), subject.query.dtype, subject.shape
    caches = Caches(shape, company.rows, max(held, 701) + company.slack, dtype)
    torch.manual_seed(company.order)
    for row in range(company.rows):
        caches.fill(
            row,
            3 * states(701, shape.kv_heads, shape.key_size, dtype),
            states(701, shape.kv_heads, shape.value_size, dtype),
        )
    caches.keys[company.row] = torch.nan
    caches.values[company.row] = torch.nan
    caches.fill(company.row, subject.key[:first], subject.value[:first])
    others = [(row, at) for row, at in company.neighbours if row != company.row]
    results, at, piece = {}, first, 0
    while at < held:
        end = min(held, at + company.pieces[piece % len(company.pieces)])
        mine = [(company.row, position) for position in range(at, end)]
        order = torch.randperm(len(mine) + len(others))
        places = [(mine + others)[number] for number in order]
        rows, positions = split(mine)
        attention.store(
            subject.key[at:end], subject.value[at:end], caches.keys, caches.values, rows, positions
        )
        query = torch.cat(
            [subject.query[at:end], states(len(others), shape.heads, shape.key_size, dtype)]
        )
        output = caches.attend(attention, query[order], places, subject.how)
        results.update(
            {
                places[slot][1]: output[slot]
                for slot in range(len(places))
                if places[slot][0] == company.row
            }
        )
        at, piece = end, piece + 1
    return results


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from(sorted(SHAPES)),
    first=st.sampled_from([0, 1, 60, 448, 505, 1020]),
    asked=st.integers(1, 12),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    option=st.sampled_from(["plain", "window", "softcap", "sinks", "bias", "all"]),
    companies=st.lists(COMPANIES, min_size=1, max_size=3),
)
def test_company_changes_no_bit(
    attention: Attention,
    seed: int,
    shape: str,
    first: int,
    asked: int,
    dtype: torch.dtype,
    option: str,
    companies: list[Company],
) -> None:
    subject = Subject.drawn(seed, SHAPES[shape], first + asked, dtype, option)
    torch.set_num_threads(1)
    alone = subject.alone(attention, first)
    for company in companies:
        torch.set_num_threads(company.threads)
        got = in_company(attention, subject, first, company)
        assert sorted(got) == sorted(alone)
        for position, output in got.items():
            assert bits(output) == bits(alone[position]), position


def test_a_long_prompt_at_once_and_token_by_token(attention: Attention) -> None:
    """Many tokens of one row fill several groups, split by spans across two threads."""
    held = 300 if attention.name == "torch" else 1100
    subject = Subject.drawn(7, SHAPES["grouped"], held, torch.bfloat16, "plain")
    torch.set_num_threads(1)
    first = held - 40
    alone = subject.alone(attention, first)
    torch.set_num_threads(2)
    company = Company(2, 1, 0, [40], [], 0, 2)
    once = in_company(attention, subject, first, company)
    whole = in_company(attention, subject, 0, Company(1, 0, 0, [held], [], 0, 2))
    assert {at: bits(alone[at]) for at in alone} == {at: bits(once[at]) for at in alone}
    assert {at: bits(alone[at]) for at in alone} == {at: bits(whole[at]) for at in alone}


def bits(output: Tensor) -> bytes:
    """Return the numbers as bytes: 0 and -0 differ, and a NaN equals itself."""
    return output.contiguous().view(torch.uint8).numpy().tobytes()
