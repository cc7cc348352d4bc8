"""The findings as Markdown and JSON. A hunt's table has one line per kind: its worst attack."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands.abuse.attacks.known_attacks import row_of
from commands.abuse.measurement.trial import Result
from commands.abuse.measurement.witness import Figures
from local import machine

_MIB = 1 << 20


def rows(results: Sequence[Result]) -> str:
    """Return the table of known attacks."""
    head = (
        (
            "| | sent | stall (calm) | short (calm) | ready | memory: peak, left "
            "| died | stream | got |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    )
    return "\n".join([*head, *map(_row, results)])


def kinds(results: Sequence[Result]) -> str:
    """Return the table of a hunt: the worst of each kind, the worst stall first."""
    worst: dict[str, list[Result]] = {}
    for result in results:
        worst.setdefault(result.kind, []).append(result)
    lines = [_kind(name, found) for name, found in worst.items()]
    head = (
        "| kind | tried | stall | x calm | short | x calm | memory | died | 5xx | harm | file |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    )
    return "\n".join([*head, *(line for _, line in sorted(lines, reverse=True))])


def document(
    results: Sequence[Result], model: str, command: str, facts: Mapping[str, object]
) -> dict[str, object]:
    """Return everything, with the machine that it was measured on."""
    return {
        "when": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        "model": model,
        "command": command,
        "machine": {**machine.facts(), **facts},
        "results": [{"row": row_of(result.kind), **result.as_dict} for result in results],
    }


def title(model: str, command: str) -> str:
    """Return a sentence on the conditions of a table's measurement."""
    facts = machine.facts()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    dtype = f" in {os.environ['DTYPE']}" if "DTYPE" in os.environ else ""
    return (
        f"`{command}`, {Path(model).name}{dtype}, one worker, {today}, "
        f"{facts['cores']} cores of {facts['processor']}"
    )


def write(path: Path, markdown: str, document: Mapping[str, object]) -> None:
    """Write the Markdown to `path`, and the JSON next to it."""
    path.with_suffix(".md").write_text(markdown + "\n")
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def _row(result: Result) -> str:
    seen, calm = result.seen, result.calm
    grown, left = result.peak - result.before, result.after - result.before
    cells = (
        row_of(result.kind),
        f"`{result.kind}` {result.described}",
        _against(seen.stall, calm.stall) + (f", {seen.cuts} cut" if seen.cuts else ""),
        _against(seen.short, calm.short) + _refused(seen),
        _seconds(seen.health),
        f"+{max(0, grown) // _MIB}, {left / _MIB:+.0f} MiB",
        ", ".join(result.died) or "no",
        result.stream,
        _answered(result),
    )
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _kind(name: str, found: Sequence[Result]) -> tuple[float, str]:
    stall = max(found, key=lambda each: each.seen.stall)
    short = max(found, key=lambda each: each.seen.short)
    left = max(each.after - each.before for each in found)
    died = sorted({part for each in found for part in each.died})
    faults = sum(
        count for each in found for status, count in each.answers.items() if status[0] == "5"
    )
    harmful = [each for each in found if each.harms]
    cells = (
        f"`{name}`",
        f"{len(found)}",
        _seconds(stall.seen.stall),
        _times(stall.seen.stall, stall.calm.stall),
        _seconds(short.seen.short),
        _times(short.seen.short, short.calm.short),
        f"{left / _MIB:+.0f} MiB",
        ", ".join(died) or "no",
        f"{faults}",
        "; ".join(harmful[0].harms) if harmful else "",
        harmful[0].file if harmful else "",
    )
    return stall.seen.stall, "| " + " | ".join(map(_cell, cells)) + " |"


def _against(seen: float, calm: float) -> str:
    return f"{_seconds(seen)} ({_seconds(calm)})"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _times(seen: float, calm: float) -> str:
    return f"{seen / calm:.1f}" if calm else "-"


def _refused(seen: Figures) -> str:
    return f", {seen.refused} of {seen.refused + seen.shorts} refused" if seen.refused else ""


def _answered(result: Result) -> str:
    texts = (
        f"{count} x {status}" + (f" `{result.bodies.get(status, '')}`" if status != "200" else "")
        for status, count in sorted(result.answers.items(), key=lambda item: -item[1])[:3]
    )
    return ", ".join(texts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("\r", "")
