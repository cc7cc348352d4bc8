"""A guest: one more request, with its own prompt length, that arrives while others stream.

In: the times of a run whose last request was the guest. Out: how long the guest waited for its
first text, and the others' gaps before it arrived and while its prompt was fed. Gaps and
percentiles are defined in `figures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commands.bench.load.outcome import Outcome
from commands.bench.results.figures import Spread, spread


@dataclass(frozen=True, slots=True)
class Visit:
    """The guest's latency, and its cost to the others, in seconds."""

    first_piece: float
    steps: int  # most arrivals of one stream while the guest waited
    before: Spread
    during: Spread


def visit(outcomes: Sequence[Outcome]) -> Visit | None:
    """Return the visit's figures; None if the guest got no text."""
    guest = max(outcomes, key=lambda outcome: outcome.index)
    others = [outcome for outcome in outcomes if outcome is not guest]
    first, arrived = guest.first_piece, guest.started
    if first is None:
        return None
    settled = max((o.first_piece for o in others if o.first_piece is not None), default=arrived)
    return Visit(
        first - guest.due,
        max((sum(arrived < moment <= first for moment in o.arrivals) for o in others), default=0),
        spread(_gaps_between(others, settled, arrived)),
        spread(_gaps_between(others, arrived, first)),
    )


def visit_table(seen: Visit | None) -> str:
    """Return the figures as lines of text."""
    if seen is None:
        return "guest: it got no text"
    grown = seen.during.p50 / seen.before.p50 if seen.before.count else math.nan
    waited = f"{seen.first_piece * 1000:.1f} ms, {seen.steps} arrivals of others"
    return "\n".join(
        [
            f"guest's first piece   {waited}",
            f"others' gaps before   {_gap_text(seen.before)}",
            f"others' gaps during   {_gap_text(seen.during)}, {grown:.2f} times as long",
        ]
    )


def _gap_text(gaps: Spread) -> str:
    return f"p50 {gaps.p50 * 1000:.1f} ms, p99 {gaps.p99 * 1000:.1f} ms"


def _gaps_between(outcomes: Sequence[Outcome], begin: float, end: float) -> Iterator[float]:
    """Yield gaps that ended within the span, after every stream had begun."""
    for outcome in outcomes:
        for sooner, later in zip(outcome.arrivals, outcome.arrivals[1:], strict=False):
            if begin < sooner and later <= end:
                yield later - sooner
