"""Scores as text and as a JSON file. Times are milliseconds in the table, seconds in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from commands.bench.results.json_file import plain
from commands.bench.results.table import columns, number
from commands.bench_peers.rounds import Burst
from commands.bench_peers.scores import Score
from local import machine

HEAD = (
    "streams",
    "tokens/s",
    "lead",
    "range",
    "first ms",
    "p99",
    "gap ms",
    "p99",
    "PSS MB",
    "RSS MB",
    "cores",
    "idle",
)
LEGEND = """
  lead: tokens/s of the first contestant over this one's, median of rounds, with its range
  first, gap: first text and gaps between texts, median and 99th percentile, median of rounds
  again: the same prompts continued, so most of them was computed before
  cores, idle: what its processes kept busy in its turns, and while others had theirs"""


def table(title: str, scored: Sequence[Score], absent: Mapping[str, str]) -> str:
    """Return a table with one row per contestant and number of streams."""
    rows: list[Sequence[str]] = [("", *HEAD), *(_row(score) for score in scored)]
    faults = [f"  {s.label}, {s.streams} streams: {s.faults[0]}" for s in scored if s.faults]
    missing = [f"  {label}: {why}" for label, why in absent.items()]
    return "\n".join([title, *columns(rows), LEGEND, *faults, *missing])


def _row(score: Score) -> tuple[str, ...]:
    return (
        score.label + " again" * score.again + " (faulty)" * bool(score.faults),
        str(score.streams),
        number(score.tokens_per_s),
        number(score.lead),
        f"{number(score.lead_lowest)}..{number(score.lead_highest)}",
        *(number(1000 * s) for s in (score.first_p50, score.first_p99)),
        *(number(1000 * s) for s in (score.gap_p50, score.gap_p99)),
        *(number(size) for size in (score.pss_mb, score.rss_mb)),
        number(score.cores),
        number(score.idle),
    )


def write(
    file: Path,
    arguments: Mapping[str, object],
    contestants: Mapping[str, Mapping[str, object]],
    scored: Sequence[Score],
    bursts: Sequence[Burst],
) -> None:
    """Write everything, for other tools."""
    report = {
        "tool": "rowcast bench_peers",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(),
        "arguments": dict(arguments),
        "contestants": {label: dict(facts) for label, facts in contestants.items()},
        "scores": [asdict(score) for score in scored],
        "bursts": [asdict(burst) for burst in bursts],
    }
    file.write_text(json.dumps(plain(report), allow_nan=False) + "\n", encoding="utf-8")
