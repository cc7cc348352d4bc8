"""From the command line to an exit status: claim after claim, then the table.

Exit: 0 if every claim held, 1 if one did not, 2 if the command is invalid. The only module that
prints.
"""

from __future__ import annotations

import random
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from commands.chaos import page
from commands.chaos.claim import Claim, Finding
from commands.chaos.context import Context
from commands.chaos.options import Options, parse
from commands.chaos.page import Line
from local.machine import allow_files
from local.server import ServerError

FAULTS_SHOWN = 5
MOST_FILES = 4096


def main(argv: Sequence[str], claims: Mapping[str, Claim]) -> int:
    """Test the claims."""
    options = parse(argv, claims)
    allow_files(MOST_FILES)
    lines = []
    try:
        for name in options.only:
            lines.append(_line(claims[name], options))
            if options.page:
                page.write(options.page, lines[-1:], list(claims))
    except KeyboardInterrupt:
        _log("interrupted")
        return 130
    print(page.table(lines))
    return int(not all(line.holds for line in lines))


def _line(claim: Claim, options: Options) -> Line:
    size, began = options.size_of(claim), monotonic()
    _log(f"{claim.name}: {size} {claim.unit}, seed {options.seed}")
    found = run(claim, options, size)
    verdict = "holds" if found.holds else "DOES NOT HOLD"
    _log(f"{claim.name}: {verdict} after {monotonic() - began:.0f} s")
    for fault in (found.faults + found.misses)[:FAULTS_SHOWN]:
        _log(f"{claim.name}: {fault}")
    if not found.holds:
        _log(f"{claim.name}: repeat with: {options.again(claim)}")
    return Line.of(claim, found, size, options.model, options.again(claim))


def run(claim: Claim, options: Options, size: int) -> Finding:
    """Run one claim; its dice depend only on the seed and its name."""
    dice = random.Random(f"{options.seed}/{claim.name}")  # noqa: S311 - repeatable, not secret
    with tempfile.TemporaryDirectory(prefix="rowcast-chaos-") as folder:
        context = Context(options.model, Path(folder), options.port, _Progress(claim))
        try:
            return claim.run(context, dice, size)
        except (ServerError, OSError) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Finding(faults=[f"{error} ({Path(where.filename).name}:{where.lineno})"])


class _Progress:
    """Shows the progress of a claim's run in one overwritten line, on a terminal only."""

    def __init__(self, claim: Claim) -> None:
        self._name = claim.name
        self._shown = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[Kchaos: {self._name}: {text}")
            sys.stderr.flush()


def _log(line: str) -> None:
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{clear}chaos: {line}\n")
    sys.stderr.flush()
