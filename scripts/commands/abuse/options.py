"""The command line: what to send, to which server, for how long.

In: argv and the environment's MODEL. Out: checked `Options`, or a sentence and exit status 2.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.abuse.attacks.kind import Kind
from commands.abuse.attacks.known_attacks import KINDS as TABLE

NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/abuse"
MINUTES = {"ci": 2, "full": 240}
PURPOSE = """Sends costly but legal requests and measures their effect on another team: the
longest gap of its stream, the time of its short requests, the server's memory and processes."""
EPILOG = """Exit status 1 if a bound is exceeded: a gap over 250 ms and five times the calm one, a
process that died, 50 MiB not released, a stream cut or lost, a 500. The attack is saved; --again
repeats it. The variable MODEL is the default of --model."""


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line."""

    kinds: tuple[str, ...]
    exact: bool
    seconds: float  # of the whole run
    bound: float  # seconds of one attack
    calm: float  # seconds before each attack
    seed: int
    only: int | None
    again: tuple[Path, ...]
    model: str
    port: int
    proxy: bool
    url: str
    tokens: tuple[str, ...] = field(repr=False)
    out: Path
    report_only: bool


def parse(argv: Sequence[str], kinds: Mapping[str, Kind]) -> Options:
    """Parse the command line."""
    parser = _parser(kinds)
    given = parser.parse_args(argv)
    if given.kinds:
        parser.exit(0, "".join(f"{each.name:32} {each.sentence}\n" for each in kinds.values()))
    if bool(given.url) != (len(given.token) == 2):
        parser.error("--url needs --token twice (attacker, witness), and --token needs --url")
    if given.again and not all(path.is_file() for path in given.again):
        parser.error(f"no such file: {', '.join(map(str, given.again))}")
    chosen = given.kind or (TABLE if given.table else [*kinds])
    return Options(
        kinds=tuple(chosen),
        exact=given.table,
        seconds=60 * (given.minutes or MINUTES[given.size]),
        bound=given.bound or (90 if given.table else 30),
        calm=5.0 if given.table else 2.0,
        seed=secrets.randbelow(2**32) if given.seed is None else given.seed,
        only=given.only,
        again=tuple(given.again or ()),
        model=given.model,
        port=given.port,
        proxy=given.proxy,
        url=given.url,
        tokens=tuple(given.token),
        out=given.out,
        report_only=given.report_only,
    )


def _parser(kinds: Mapping[str, Kind]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description=PURPOSE, epilog=EPILOG, allow_abbrev=False
    )
    add = parser.add_argument
    add("--size", choices=[*MINUTES], default="ci", help="ci: 2 minutes (the default); full: hours")
    add("--minutes", type=float, metavar="N", help="instead of --size")
    add("--kind", action="append", choices=[*kinds], metavar="KIND", help="may be repeated")
    add("--kinds", action="store_true", help="list the kinds of attack")
    add("--table", action="store_true", help="known attacks, or each --kind, once and in full")
    add("--seed", type=int, metavar="N", help="seed of the attacks; random by default")
    add("--only", type=int, metavar="N", help="only attack number N of each kind")
    add("--again", action="append", type=Path, metavar="FILE", help="repeat a saved attack")
    add(
        "--bound",
        type=float,
        metavar="S",
        help="seconds allowed for one attack (30; 90 with --table)",
    )
    _add_target(parser)
    _add_report(parser)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        default=os.environ.get("MODEL") or "storyteller",
        help="the model to serve (storyteller)",
    )
    add("--port", type=int, default=7600, metavar="N", help="first port to try (7600)")
    add("--proxy", action="store_true", help="both teams send to the proxy")
    add("--url", default="", help="a running server; needs --token twice: attacker, witness")
    add("--token", action="append", default=[], metavar="T", help="token of a team")


def _add_report(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=Path(".rowcast/abuse"),
        help="file for the report, without suffix",
    )
    add("--report-only", action="store_true", help="exit with 0 whatever is found")
