"""The table of docs/reliability.md: one line per claim, with the finding, the date and the machine.

Lines of claims that a run did not test stay as they are. The text around the table belongs to the
page and is never changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.chaos.claim import Claim, Finding
from local import machine

BEGIN, END = "<!-- written by make chaos -->", "<!-- until here -->"
HEAD = (
    "| claim | test | result | |",
    "|---|---|---|---|",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One claim's line."""

    name: str
    holds: bool
    text: str

    @classmethod
    def of(cls, claim: Claim, found: Finding, size: int, model: str, again: str) -> Line:
        """Return the line for a run's finding."""
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        verdict = "holds" if found.holds else "**does not hold**"
        test = f"{size:,} {claim.unit}, {claim.models or Path(model).name}, {today}, {_cores()}"
        result = "; ".join([*found.figures, *found.misses, *found.faults[:2]])
        result = result if found.holds else f"{result}; `{again}`"
        cells = (f"`{claim.name}` {claim.sentence}", test, result, verdict)
        return cls(claim.name, found.holds, "| " + " | ".join(map(_cell, cells)) + " |")


def table(lines: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    return "\n".join([*HEAD, *(line.text for line in lines)])


def write(path: Path, lines: Sequence[Line], order: Sequence[str]) -> None:
    """Put these lines into the page's table, in `order`."""
    before, rows, after = _read(path)
    rows |= {line.name: line.text for line in lines}
    lines_in_order = [rows[name] for name in order if name in rows]
    path.write_text("\n".join([before + BEGIN, "", *HEAD, *lines_in_order, "", END + after]))


def _read(path: Path) -> tuple[str, dict[str, str], str]:
    """Return the text before the table, its lines by name, and the text after it."""
    page = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    inside, _, after = rest.partition(END)
    found = [line for line in inside.splitlines() if line.startswith("| `")]
    return before, {line.split("`")[1]: line for line in found}, after


def _cores() -> str:
    facts = machine.facts()
    return f"{facts['cores']} cores of {facts['processor']}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
