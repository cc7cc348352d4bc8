"""A report as lines of a terminal, which fit its width and height.

    storyteller  ready  212.4 tokens/s  5182 steps  prefixes 40 %
      D P # . . . . . . . . . . . . .    3 of 32 rows, 2 yours
      . . . . . . . . . . . . . . . .    3 waiting, 1 yours
      row  stream                                phase    prompt  reply
        0  01a220b874887647c65417aae032f2b7b02a  decode       19    112

Where the height does not suffice, a line says how much is left out. Colours are ANSI's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from commands.top.report import ModelRows, Report, Row

PER_LINE = 16  # rows of the grid
LEGEND = "D decodes  P prefill  # another team's  . free"
STYLES = {"D": "32;1", "P": "33;1", "#": "2", "head": "1", "faint": "2", "problem": "31;1"}
LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class Screen:
    """How lines are made. Without a height, nothing is left out."""

    width: int = 80
    height: int | None = None
    colour: bool = False

    def lines(self, title: str, report: Report, problem: str = "") -> list[str]:
        """Return all lines of one screen."""
        head = [self._styled(self._cut(title), "head")]
        if problem:
            head.append(self._styled(self._cut(problem), "problem"))
        if not report:
            return head
        body = [line for model in report for line in ("", *self._model(model))]
        foot = ["", self._styled(self._cut(LEGEND), "faint")]
        return [*head, *self._fitting(body, len(head) + len(foot)), *foot]

    def _fitting(self, body: list[str], others: int) -> list[str]:
        """Return the lines for which there is room."""
        room = len(body) if self.height is None else max(1, self.height - others)
        if len(body) <= room:
            return body
        left_out = len(body) - room + 1
        return [*body[: room - 1], self._cut(f"  ... {left_out} more lines")]

    def _model(self, model: ModelRows) -> Iterator[str]:
        name = model.name[:LONGEST_NAME]
        facts = [model.state, f"{model.tokens_per_second:.1f} tokens/s", f"{model.steps} steps"]
        if model.looked_up:
            facts.append(f"prefixes {100 * model.found / model.looked_up:.0f} %")
        yield self._styled(self._cut("  ".join([name, *facts])), "head")
        yield from self._grid(model)
        if model.own:
            head = _columns("row", "stream", "phase", "prompt", "reply")
            yield self._styled(self._cut(head), "faint")
            yield from (self._cut(_line(row)) for row in model.own)

    def _grid(self, model: ModelRows) -> Iterator[str]:
        """Yield the rows as cells, with the counts beside the first lines."""
        cells = [_cell(row) for row in model.rows]
        beside = [
            f"{model.seated} of {len(cells)} rows, {len(model.own)} yours",
            f"{model.all_waiting} waiting, {model.own_waiting} yours",
        ]
        parts = [cells[at : at + PER_LINE] for at in range(0, len(cells), PER_LINE)]
        for part, counts in zip(parts, [*beside, *[""] * len(parts)], strict=False):
            gap = "  " * (PER_LINE - len(part))
            grid = " ".join(self._styled(cell, cell) for cell in part)
            yield f"  {grid}{gap}  {counts[: max(0, self.width - 2 * PER_LINE - 4)]}".rstrip()

    def _cut(self, line: str) -> str:
        return line if len(line) <= self.width else f"{line[: self.width - 1]}~"

    def _styled(self, text: str, style: str) -> str:
        code = STYLES.get(style, "") if self.colour else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _cell(row: Row | None) -> str:
    if row is None:
        return "."
    if not row.own:
        return "#"
    return "P" if row.phase == "prefill" else "D"


def _line(row: Row) -> str:
    return _columns(row.number, row.stream, row.phase, row.prompt_tokens, row.reply_tokens)


def _columns(number: object, stream: str, phase: str, prompt: object, reply: object) -> str:
    return f"  {number!s:>3}  {stream:36}  {phase:7}  {prompt!s:>6}  {reply!s:>5}"
