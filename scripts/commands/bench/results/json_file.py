"""The JSON file: arguments (tokens left out), the machine, and every run with its raw times.

Times are seconds from their run's first start, rounded to a microsecond; NaN becomes null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from commands.bench.load.outcome import Outcome
from commands.bench.options import Options
from commands.bench.results.comparison import Comparison
from commands.bench.results.figures import Run, Summary
from local import machine

SECRET = ("token", "vs_token")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one side, with its figures."""

    label: str
    round: int
    run: Run
    summary: Summary
    models: dict[str, Summary] = field(default_factory=dict)
    turn: int = 1  # of a chat


def write(
    path: Path,
    options: Options,
    measured: Sequence[Measured],
    comparisons: Sequence[Comparison],
) -> None:
    """Write the whole report."""
    report = {
        "tool": "rowcast bench",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": arguments(options),
        "machine": machine.facts(),
        "runs": [_run(one) for one in measured],
        "comparisons": [asdict(each) for each in comparisons],
    }
    path.write_text(json.dumps(plain(report), allow_nan=False) + "\n", encoding="utf-8")


def arguments(options: Options) -> dict[str, object]:
    """Return the arguments, without secrets."""
    given = asdict(options) | {"json": str(options.json)}
    return {name: "(redacted)" if name in SECRET and given[name] else given[name] for name in given}


def _run(measured: Measured) -> dict[str, object]:
    outcomes = sorted(measured.run.outcomes, key=lambda outcome: outcome.index)
    start = min((outcome.started for outcome in outcomes), default=0.0)
    return {
        "label": measured.label,
        "round": measured.round,
        "turn": measured.turn,
        "summary": asdict(measured.summary),
        "models": {model: asdict(part) for model, part in measured.models.items()},
        "requests": [_request(outcome, start) for outcome in outcomes],
    }


def _request(seen: Outcome, start: float) -> dict[str, object]:
    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - start, 6)

    return {
        "index": seen.index,
        "model": seen.model,
        "due": since(seen.due),
        "started": since(seen.started),
        "sent": since(seen.sent),
        "first_byte": since(seen.first_byte),
        "arrivals": [since(moment) for moment in seen.arrivals],
        "ended": since(seen.ended),
        "status": seen.status,
        "failure": seen.failure,
        "detail": seen.detail,
        "finish_reason": seen.finish_reason,
        "prompt_tokens": seen.prompt_tokens,
        "tokens": seen.tokens,
        "tokens_by": seen.tokens_by,
        "pieces": seen.pieces,
        "bytes": seen.received,
    }


def plain(value: object) -> object:
    """Convert a value for JSON, which has no NaN and no paths."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
