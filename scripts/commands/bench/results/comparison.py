"""Two targets compared: medians of alternating rounds, and the ratio B/A.

In: one summary per round and side, measured A B A B. Out: for each figure both medians, the median
of the rounds' own ratios, and the range of these ratios: a range that spans 1 proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from commands.bench.results.figures import Summary, finite_median, ratio

Figure = Callable[[Summary], float]

FIGURES: dict[str, Figure] = {
    "first byte p50, ms": lambda summary: summary.first_byte.p50,
    "first byte p99, ms": lambda summary: summary.first_byte.p99,
    "first piece p50, ms": lambda summary: summary.first_piece.p50,
    "first piece p99, ms": lambda summary: summary.first_piece.p99,
    "gap p50, ms": lambda summary: summary.gap.p50,
    "gap p99, ms": lambda summary: summary.gap.p99,
    "whole reply p50, ms": lambda summary: summary.total.p50,
    "tokens/s of a stream, p50": lambda summary: summary.stream_tokens_per_s.p50,
    "tokens/s, all streams": lambda summary: summary.tokens_per_s,
    "pieces/s, all streams": lambda summary: summary.pieces_per_s,
    "requests failed": lambda summary: float(summary.requests - summary.ok),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure on both sides."""

    name: str
    a: float
    b: float
    ratio: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures on both sides."""

    a: str
    b: str
    figures: list[Compared]


def compare(a: str, b: str, of_a: Sequence[Summary], of_b: Sequence[Summary]) -> Comparison:
    """Compare the rounds of A with those of B."""
    return Comparison(a, b, [_compared(name, of_a, of_b) for name in FIGURES])


def _compared(name: str, of_a: Sequence[Summary], of_b: Sequence[Summary]) -> Compared:
    figure = FIGURES[name]
    left, right = [figure(summary) for summary in of_a], [figure(summary) for summary in of_b]
    ratios = [ratio(b, a) for a, b in zip(left, right, strict=True)]
    known = [each for each in ratios if math.isfinite(each)] or [math.nan]
    return Compared(
        name, finite_median(left), finite_median(right), median(known), min(known), max(known)
    )
