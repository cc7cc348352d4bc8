"""The command line: which claims, how often, from which seed, on which model.

In: argv and the environment's MODEL. Out: checked `Options`, or a sentence and exit status 2.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from commands.chaos.claim import Claim, SizeName
from commands.chaos.context import SCRIPTED
from local.server import ROOT

SCRIPT = "scripts/chaos"
NAME = os.environ.get("ROWCAST_COMMAND") or SCRIPT
_DOCS = ROOT / "docs"  # in the source tree only
PAGE = _DOCS / "reliability.md" if _DOCS.is_dir() else None
PURPOSE = """Breaks servers that it starts itself, and compares every byte of their answers with
those of an undisturbed server. Prints a table; in the source tree, it also updates
docs/reliability.md."""
EPILOG = """A claim that does not hold is printed with the command that repeats its test. The
variable MODEL is the default of --model."""


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line."""

    size: SizeName | int
    only: tuple[str, ...]
    seed: int
    model: str
    port: int
    page: Path | None

    def size_of(self, claim: Claim) -> int:
        """Return how often this claim is tested."""
        return self.size if isinstance(self.size, int) else claim.sizes.named(self.size)

    def again(self, claim: Claim) -> str:
        """Return the command that repeats one claim of this run."""
        model = "" if self.model == SCRIPTED else f"MODEL={self.model} "
        flags = f"--only {claim.name} --size {self.size} --seed {self.seed}"
        if NAME != SCRIPT:
            return f"{model}{NAME} {flags}"
        return f"{model}make chaos ARGS='{flags}'"


def parse(argv: Sequence[str], claims: Mapping[str, Claim]) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=PURPOSE,
        epilog=EPILOG + "\n\nclaims: " + ", ".join(claims),
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--size", type=_size, default="ci", help="test, ci (the default), full, or a number")
    add("--only", action="append", choices=[*claims], metavar="CLAIM", help="may be repeated")
    add("--seed", type=int, help="seed of requests and of moments; random by default")
    add(
        "--model", default=os.environ.get("MODEL") or SCRIPTED, help="the model to serve (scripted)"
    )
    add("--port", type=int, default=7400, metavar="N", help="first port to try (7400)")
    add("--page", type=Path, default=PAGE, help="file to write the table to (docs/reliability.md)")
    add("--no-page", action="store_true", help="print the table only")
    given = parser.parse_args(argv)
    return Options(
        size=given.size,
        only=tuple(given.only or claims),
        seed=secrets.randbelow(2**32) if given.seed is None else given.seed,
        model=given.model,
        port=given.port,
        page=None if given.no_page else given.page,
    )


def _size(text: str) -> SizeName | int:
    if text in {"test", "ci", "full"}:
        return cast("SizeName", text)
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not test, ci, full or a number above 0")
