"""Summaries as text: a table for one run, a table with ratios for a comparison.

In: summaries. Out: lines. Times are milliseconds; everything else has its unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from commands.bench.results.comparison import Comparison
from commands.bench.results.figures import Spread, Summary

DASH = "-"
BUSY = 0.8
NAME_WIDTH = 23


def run_table(label: str, summary: Summary) -> str:
    """Return the table of one run."""
    lines = [
        label,
        *columns(
            [
                ("", "p50", "p90", "p99", "max"),
                _milliseconds("first byte", summary.first_byte),
                _milliseconds("first piece", summary.first_piece),
                _milliseconds("gap between pieces", summary.gap),
                _milliseconds("whole reply", summary.total),
            ]
        ),
        "",
        *(f"  {name.ljust(NAME_WIDTH)}  {text}" for name, text in _counts(summary)),
    ]
    return "\n".join([*lines, *_remarks(summary)])


def comparison_table(comparison: Comparison) -> str:
    """Return the table of two targets, measured alternately."""
    rows: list[Sequence[str]] = [("median of rounds", "A", "B", "B/A", "B/A lowest..highest")]
    for figure in comparison.figures:
        scale = 1000 if figure.name.endswith(", ms") else 1
        rows.append(
            (
                figure.name,
                number(figure.a * scale),
                number(figure.b * scale),
                number(figure.ratio),
                f"{number(figure.lowest)}..{number(figure.highest)}",
            )
        )
    lines = [comparison.a, comparison.b, *columns(rows)]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(["  " + first.ljust(widths[0]), *cells]).rstrip())
    return lines


def number(value: float) -> str:
    """Format a number with three significant digits; thousands are grouped."""
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    decimals = 0 if size >= 99.95 or not size else 1 if size >= 9.995 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def _milliseconds(name: str, values: Spread) -> tuple[str, ...]:
    figures = (values.p50, values.p90, values.p99, values.max)
    return (f"{name}, ms", *(number(figure * 1000) for figure in figures))


def _slow_end(values: Spread) -> str:
    """Return the low percentiles: for a rate, these are the bad ones."""
    return f"p50 {number(values.p50)}, p10 {number(values.p10)}, lowest {number(values.min)}"


def _counts(summary: Summary) -> list[tuple[str, str]]:
    failed = summary.requests - summary.ok
    per_arrival = summary.pieces / summary.arrivals if summary.arrivals else math.nan
    return [
        ("requests", f"{summary.ok:,} ok, {failed:,} failed of {summary.requests:,}"),
        ("statuses", _listed(summary.statuses)),
        ("endings", _listed(summary.finish_reasons)),
        ("took", f"{number(summary.seconds)} s"),
        ("tokens", f"{summary.tokens:,} (counted by {summary.tokens_by})"),
        ("tokens/s of a stream", _slow_end(summary.stream_tokens_per_s)),
        ("tokens/s, all streams", number(summary.tokens_per_s)),
        ("pieces/s, all streams", number(summary.pieces_per_s)),
        ("pieces an arrival", number(per_arrival)),
        ("generator's load", f"{summary.generator_load:.0%} of one core"),
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or DASH


def _remarks(summary: Summary) -> list[str]:
    remarks = [f"  failed: {count:,} x {reason}" for reason, count in summary.failures.items()]
    if "pieces" in summary.tokens_by:
        remarks.append(
            "  pieces stand for tokens: a piece may hold several, so this is a lower bound"
        )
    if summary.generator_load > BUSY:
        remarks.append("  the generator was nearly as busy as it can be: the server may be faster")
    return remarks
