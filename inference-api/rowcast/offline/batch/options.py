"""The command line of `rowcast batch`."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowcast.offline.keywords import KNOWN
from rowcast.settings import STORYTELLER, Settings, checked
from rowcast_settings.flags import add_flags, flags_in

MOST_AT_ONCE = 1024
BODY_BYTES = Settings.body_bytes.default
FLAGS = {name: Settings.fields[name] for name in ("model", *KNOWN, "body_bytes")}

_PAGE = """Compute a file of requests. Each line is one, in the form of OpenAI's batches
({"custom_id": …, "url": "/v1/completions", "body": {…}}) or a plain one ({"prompt": …}).
After an interruption, the same command continues and ends with the same file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A parsed command line."""

    source: Path
    target: Path
    model: str
    settings: dict[str, Any]
    at_once: int
    seed: int
    quiet: bool
    longest: int  # bytes of a line


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line. A mistake ends the process with status 2."""
    parser = argparse.ArgumentParser(
        os.environ.get("ROWCAST_COMMAND"), description=_PAGE, allow_abbrev=False
    )
    parser.add_argument("source", type=Path, metavar="IN.jsonl")
    parser.add_argument("target", type=Path, metavar="OUT.jsonl")
    parser.add_argument(
        "--at-once", type=int, default=64, help="requests in flight; 32 rows are computed at once"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the requests that have none")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_flags(parser, FLAGS)
    found = parser.parse_args(arguments)
    if not 1 <= found.at_once <= MOST_AT_ONCE:
        parser.error(f"--at-once is {found.at_once}; it must be from 1 to {MOST_AT_ONCE}")
    if not found.source.is_file():
        parser.error(f"{found.source} is not a file")
    settings = flags_in(found, FLAGS)
    model = settings.pop("model", None) or os.environ.get("MODEL") or STORYTELLER
    longest = settings.pop("body_bytes", None) or os.environ.get("BODY_BYTES") or BODY_BYTES
    return Options(
        source=found.source,
        target=found.target,
        model=str(model),
        settings=settings,
        at_once=found.at_once,
        seed=found.seed,
        quiet=found.quiet,
        longest=checked("body_bytes", longest),
    )
