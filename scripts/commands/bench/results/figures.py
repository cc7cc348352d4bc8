"""Figures of one run: distributions of times, rates, counts.

In: outcomes and the seconds that the run took. Out: a `Summary`. Latencies count from the moment a
request was due; they come from requests that ended well, failures are only counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from commands.bench.load.outcome import Outcome

PERCENTS = (0, 1, 10, 50, 90, 99, 100)


@dataclass(frozen=True, slots=True)
class Spread:
    """The percentiles of a sample; NaN if it is empty."""

    count: int
    min: float
    p1: float
    p10: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a driver."""

    outcomes: list[Outcome]
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        """The time from the first request's start to the last one's end."""
        ends = [outcome.ended for outcome in self.outcomes if outcome.ended is not None]
        return max(ends) - min(outcome.started for outcome in self.outcomes) if ends else 0.0

    def by_model(self) -> dict[str, Run]:
        """Return the part of each model; the generator's processor time is not divided."""
        models = dict.fromkeys(outcome.model for outcome in self.outcomes)
        return {
            model: Run([each for each in self.outcomes if each.model == model], self.cpu_seconds)
            for model in sorted(models)
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """One run in figures: seconds, and counts per second."""

    requests: int
    ok: int
    failures: dict[str, int]
    statuses: dict[str, int]
    finish_reasons: dict[str, int]
    seconds: float
    first_byte: Spread
    first_piece: Spread
    gap: Spread
    total: Spread
    start_lag: Spread
    stream_tokens_per_s: Spread
    tokens: int
    tokens_by: str
    prompt_tokens: int | None
    pieces: int
    arrivals: int
    bytes: int
    tokens_per_s: float
    pieces_per_s: float
    generator_load: float
    differences: list[str] = field(default_factory=list)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of an ordered sample, interpolated between its two neighbours."""
    if not ordered:
        return math.nan
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def finite_median(values: Iterable[float]) -> float:
    """Return the median of the finite values; NaN if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else math.nan


def ratio(above: float, below: float) -> float:
    """Return `above` / `below`; NaN for a division by zero."""
    return above / below if below else math.nan


def spread(values: Iterable[float]) -> Spread:
    """Return the percentiles of a sample."""
    ordered = sorted(values)
    return Spread(len(ordered), *(percentile(ordered, percent) for percent in PERCENTS))


def summarize(run: Run, differences: Sequence[str] = ()) -> Summary:
    """Return everything that a run's table shows."""
    good = [outcome for outcome in run.outcomes if outcome.ok]
    seconds = run.seconds
    tokens, pieces = sum(o.tokens for o in good), sum(o.pieces for o in good)
    return Summary(
        requests=len(run.outcomes),
        ok=len(good),
        failures=_counted(outcome.failure for outcome in run.outcomes),
        statuses=_counted(outcome.status or "none" for outcome in run.outcomes),
        finish_reasons=_counted(outcome.finish_reason for outcome in good),
        seconds=seconds,
        first_byte=spread(o.first_byte - o.due for o in good if o.first_byte is not None),
        first_piece=spread(o.first_piece - o.due for o in good if o.first_piece is not None),
        gap=spread(gap for outcome in good for gap in outcome.gaps),
        total=spread(o.ended - o.due for o in good if o.ended is not None),
        start_lag=spread(outcome.started - outcome.due for outcome in run.outcomes),
        stream_tokens_per_s=spread(_stream_rates(good)),
        tokens=tokens,
        tokens_by=_source(good),
        prompt_tokens=_sum_known(outcome.prompt_tokens for outcome in good),
        pieces=pieces,
        arrivals=sum(len(outcome.arrivals) for outcome in good),
        bytes=sum(outcome.received for outcome in good),
        tokens_per_s=_rate(tokens, seconds),
        pieces_per_s=_rate(pieces, seconds),
        generator_load=_rate(run.cpu_seconds, seconds),
        differences=list(differences),
    )


def _stream_rates(outcomes: Iterable[Outcome]) -> Iterable[float]:
    """Yield tokens per second during each stream; the first arrival only starts the clock.

    How many tokens the first arrival had is unknown: their share is estimated from its bytes.
    """
    for outcome in outcomes:
        span = outcome.arrivals[-1] - outcome.arrivals[0] if outcome.arrivals else 0.0
        if span > 0:
            share = 1 - outcome.received_first / outcome.received
            yield outcome.tokens * share / span


def _counted(values: Iterable[object]) -> dict[str, int]:
    counts = Counter(str(value) for value in values if value is not None)
    return dict(counts.most_common())


def _source(outcomes: Iterable[Outcome]) -> str:
    return " + ".join(sorted({outcome.tokens_by for outcome in outcomes})) or "nothing"


def _sum_known(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rate(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else 0.0
