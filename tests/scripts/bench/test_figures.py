"""Percentiles, rates, prompts, arrivals, and the tables that show them.

Covers `outcome`, `pace`, `load/requests`, `comparison`, `figures`, `results/table`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean

import pytest

from commands.bench.load.outcome import Outcome
from commands.bench.load.pace import ClosedLoop, OpenLoop
from commands.bench.load.requests import NAME_BYTES, Sizes, make_requests, stream_name
from commands.bench.results.comparison import compare
from commands.bench.results.figures import Run, Summary, percentile, spread, summarize
from commands.bench.results.table import comparison_table, number, run_table


def outcome(index: int = 0, due: float = 10.0, speed: float = 1.0, **more: object) -> Outcome:
    """Return an outcome: first byte 0.1 s after `due`, pieces after 0.2, 0.3, 0.6 s, end 0.7 s."""
    seen = Outcome(index=index, due=due, started=due, status=200, finish_reason="length")
    seen.first_byte = due + 0.1 * speed
    seen.arrivals = [due + moment * speed for moment in (0.2, 0.3, 0.6)]
    seen.ended = due + 0.7 * speed
    seen.pieces, seen.usage_tokens = 4, 5
    seen.received, seen.received_first = 20, 4
    for name, value in more.items():
        setattr(seen, name, value)
    return seen


def summary(*outcomes: Outcome) -> Summary:
    return summarize(Run(list(outcomes), cpu_seconds=0.35))


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1.0), (50, 3.0), (90, 4.6), (99, 4.96), (100, 5.0)]
)
def test_percentile(percent: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], percent) == pytest.approx(value)


def test_spread_of_one_and_none() -> None:
    assert spread([7.0]).p99 == 7.0
    assert math.isnan(spread([]).p50)


def test_summary() -> None:
    told = summary(outcome(), outcome(1, failure="cut before its end"))
    assert (told.requests, told.ok, told.failures) == (2, 1, {"cut before its end": 1})
    assert told.first_byte.p50 == pytest.approx(0.1)
    assert told.first_piece.p50 == pytest.approx(0.2)
    assert told.gap.count == 2
    assert told.gap.max == pytest.approx(0.3)
    assert told.stream_tokens_per_s.p50 == pytest.approx(4 / 0.4)
    assert told.tokens_per_s == pytest.approx(5 / 0.7)
    assert told.pieces_per_s == pytest.approx(4 / 0.7)
    assert (told.tokens_by, told.arrivals, told.bytes) == ("usage", 3, 20)
    assert told.generator_load == pytest.approx(0.5)


def test_latency_counts_from_the_appointment() -> None:
    late = outcome(started=10.05)
    assert summary(late).first_byte.p50 == pytest.approx(0.1)
    assert summary(late).start_lag.max == pytest.approx(0.05)


def test_where_token_counts_come_from() -> None:
    assert summary(outcome(verified_tokens=6)).tokens_by == "rule"
    guessed = summary(outcome(usage_tokens=None))
    assert (guessed.tokens, guessed.tokens_by) == (4, "pieces")
    assert "lower bound" in run_table("x", guessed)


def test_run_table() -> None:
    table = run_table("here", summary(outcome(), outcome(1, status=503, failure="status 503")))
    rows = [line.split() for line in table.splitlines()]
    assert ["first", "byte,", "ms", "100", "100", "100", "100"] in rows
    assert ["gap", "between", "pieces,", "ms", "200", "280", "298", "300"] in rows
    assert ["requests", "1", "ok,", "1", "failed", "of", "2"] in rows
    assert ["statuses", "200:", "1,", "503:", "1"] in rows
    assert ["failed:", "1", "x", "status", "503"] in rows


def test_run_table_without_any_answer() -> None:
    refused = Outcome(0, 1.0, 1.0, ended=1.0, failure="connection refused")
    assert "connection refused" in run_table("x", summary(refused))


def test_comparison() -> None:
    fast, slow = summary(outcome()), summary(outcome(speed=2.0))
    compared = compare("left", "right", [fast, fast, slow], [slow, slow, slow])
    figures = {figure.name: figure for figure in compared.figures}
    first_byte = figures["first byte p50, ms"]
    assert [first_byte.a, first_byte.b] == pytest.approx([0.1, 0.2])
    assert first_byte.ratio == pytest.approx(2.0)
    assert [first_byte.lowest, first_byte.highest] == pytest.approx([1.0, 2.0])
    rows = [line.split() for line in comparison_table(compared).splitlines()]
    assert ["first", "byte", "p50,", "ms", "100", "200", "2.00", "1.00..2.00"] in rows


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.012")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_prompts_have_their_length_and_their_own_text() -> None:
    requests = make_requests(50, Sizes(prompt_tokens=40, reply_tokens=8), seed=5)
    assert {len(request.prompt.encode()) for request in requests} == {40}
    assert len({request.prompt for request in requests}) == 50
    assert [request.seed for request in requests] == list(range(5, 55))
    assert requests == make_requests(50, Sizes(prompt_tokens=40, reply_tokens=8), seed=5)


def test_words_and_names() -> None:
    words = make_requests(1, Sizes(30, 8, unit="word"), seed=1)[0].prompt
    assert len(words.split()) == 30
    named = make_requests(3, Sizes(NAME_BYTES + 1, 8, named=True, send_seed=False), seed=1)
    assert [request.prompt.startswith(stream_name(i)) for i, request in enumerate(named)] == [
        True
    ] * 3
    assert {len(request.prompt) for request in named} == {NAME_BYTES + 1}
    assert {request.seed for request in named} == {None}


def test_shortest_prompt() -> None:
    assert len(make_requests(1, Sizes(1, 1), seed=1)[0].prompt) == 1


def test_closed_loop() -> None:
    pace = ClosedLoop(2)
    assert [pace.due(0, flying, 5.0) for flying in (0, 1, 2)] == [5.0, 5.0, None]


def test_open_loop_is_poisson_and_repeats() -> None:
    def moments(seed: int) -> list[float]:
        pace = OpenLoop(rate=50.0, requests=2000, seed=seed)
        return [pace.due(sent, sent, 3.0) or 0.0 for sent in range(2000)]

    gaps = [later - sooner for sooner, later in pairwise([3.0, *moments(1)])]
    assert min(gaps) > 0
    assert mean(gaps) == pytest.approx(1 / 50, rel=0.1)
    # An exponential's variance is its mean squared; a regular rhythm's would be zero.
    assert mean(gap * gap for gap in gaps) == pytest.approx(2 / 50**2, rel=0.2)
    assert moments(1) == moments(1) != moments(2)
