"""Bursts as scores: medians per contestant and number of streams, and the first one's lead.

The lead is the first contestant's tokens/s over the other's, from bursts of the same round, so that
a temporary slowdown of the machine affects both: the median of the rounds, and their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from commands.bench.results.figures import finite_median, ratio
from commands.bench_peers.rounds import Burst


@dataclass(frozen=True, slots=True)
class Score:
    """One contestant with one number of streams; times in seconds, memory in megabytes."""

    label: str
    streams: int
    again: bool
    tokens_per_s: float
    lead: float
    lead_lowest: float
    lead_highest: float
    first_p50: float
    first_p99: float
    gap_p50: float
    gap_p99: float
    pss_mb: float
    rss_mb: float
    cores: float
    idle: float  # cores used while others were measured
    faults: list[str]


def scores(bursts: Sequence[Burst]) -> list[Score]:
    """Return the scores in the order of measurement; the first label leads."""
    if not bursts:
        return []
    first = bursts[0].label
    seats = dict.fromkeys((burst.streams, burst.again, burst.label) for burst in bursts)
    idle = {label: _idle(bursts, label) for label in {burst.label for burst in bursts}}
    return [
        _score(
            [b for b in bursts if (b.streams, b.again) == (streams, again)],
            *(first, label, idle[label]),
        )
        for streams, again, label in seats
    ]


def _score(bursts: Sequence[Burst], first: str, label: str, idle: float) -> Score:
    own = [burst for burst in bursts if burst.label == label]
    leaders = {burst.round: burst for burst in bursts if burst.label == first}
    leads = [
        ratio(leaders[burst.round].summary.tokens_per_s, burst.summary.tokens_per_s)
        for burst in own
        if burst.round in leaders
    ]
    known = [lead for lead in leads if math.isfinite(lead)] or [math.nan]

    def of(figure: Callable[[Burst], float]) -> float:
        return finite_median(map(figure, own))

    return Score(
        label=label,
        streams=own[0].streams,
        again=own[0].again,
        tokens_per_s=of(lambda burst: burst.summary.tokens_per_s),
        lead=median(known),
        lead_lowest=min(known),
        lead_highest=max(known),
        first_p50=of(lambda burst: burst.summary.first_piece.p50),
        first_p99=of(lambda burst: burst.summary.first_piece.p99),
        gap_p50=of(lambda burst: burst.summary.gap.p50),
        gap_p99=of(lambda burst: burst.summary.gap.p99),
        pss_mb=of(lambda burst: burst.memory.pss_mb),
        rss_mb=of(lambda burst: burst.memory.rss_mb),
        cores=of(lambda burst: burst.cores),
        idle=idle,
        faults=[burst.fault for burst in own if burst.fault],
    )


def _idle(bursts: Sequence[Burst], label: str) -> float:
    shares = [burst.idle[label] for burst in bursts if label in burst.idle]
    return mean(shares) if shares else 0.0
