"""The command line of `scripts/bench_peers`: its options, and the combinations that are invalid.

In: argv. Out: checked `Options`, or a sentence and exit status 2. It starts nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.bench_peers.peer import MOST_STREAMS, Peer
from commands.bench_peers.shapes import SHAPES

NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/bench_peers"
DESCRIPTION = "Measure servers in turns, with the same random-weight model and the same load."
EPILOG = f"""examples:
  {NAME} list
  {NAME} install llama-server openvino
  {NAME} run rowcast:bf16 llama-server:bf16 openvino:bf16
  {NAME} run rowcast:int8 openvino:int8 --streams 1,32 --rounds 5 --json F
  {NAME} run rowcast:bf16 llama-server:bf16 --model 12.5M

About each peer and its installation: scripts/commands/bench_peers/peers/README.md"""

LEAST_MORE = 8  # tokens that continue a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parsed command line."""

    command: str
    names: tuple[str, ...] = ()  # to install
    contestants: tuple[tuple[str, str], ...] = ()  # name and precision
    model: str = "0.5B"
    streams: tuple[int, ...] = (1, 8, 32)
    rounds: int = 3
    prompt_tokens: int = 128
    reply_tokens: int = 128
    again: int = 0
    threads: int = 1
    seed: int = 1
    timeout: float = 300.0
    patience: float = 300.0
    rest: float = 0.0
    json: Path | None = None

    @property
    def context(self) -> int:
        """The most tokens of one request, its reply included."""
        return self.prompt_tokens + self.again + self.reply_tokens


def parse(argv: Sequence[str], peers: Mapping[str, Peer]) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the peers, their precisions, and which are installed")
    installing = commands.add_parser("install", help="install peers into the cache")
    installing.add_argument("names", nargs="+", choices=sorted(peers), metavar="NAME")
    _add_run(commands.add_parser("run", help="measure contestants"))
    given = vars(parser.parse_args(argv))
    if "contestants" in given:
        given["contestants"] = _contestants(parser, given["contestants"], peers)
        _check_sizes(parser, given)
    if "names" in given:
        given["names"] = tuple(given["names"])
    return Options(**given)


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    cores = os.cpu_count() or 1
    add("contestants", nargs="+", metavar="NAME:PRECISION", help="the first leads the ratios")
    add("--model", choices=sorted(SHAPES), default="0.5B", help="the shape (0.5B)")
    add(
        "--streams", type=_counts, default=(1, 8, 32), metavar="N,…", help="one burst each (1,8,32)"
    )
    add("--rounds", type=_count, default=3, metavar="N", help="alternate rounds (3)")
    add(
        "--prompt-tokens", type=_count, default=128, metavar="N", help="tokens of each prompt (128)"
    )
    add("--reply-tokens", type=_count, default=128, metavar="N", help="tokens of each reply (128)")
    add(
        "--again",
        type=_more,
        default=0,
        metavar="N",
        help="follow each burst by one that continues its prompts by N tokens",
    )
    add(
        "--threads",
        type=_count,
        default=cores,
        metavar="N",
        help=f"threads of each server ({cores})",
    )
    add("--seed", type=_count, default=1, metavar="N", help="seed of the prompts (1)")
    add(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds allowed for one reply (300)",
    )
    add(
        "--patience",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds to wait until ready (300)",
    )
    add("--rest", type=float, default=0.0, metavar="S", help="pause before each round, seconds (0)")
    add("--json", type=Path, metavar="FILE", help="write every burst's figures")


def _contestants(
    parser: argparse.ArgumentParser, texts: Sequence[str], peers: Mapping[str, Peer]
) -> tuple[tuple[str, str], ...]:
    found = []
    for text in texts:
        name, _, precision = text.partition(":")
        if name not in peers:
            parser.error(f"no peer {name!r}; known: {', '.join(sorted(peers))}")
        if precision not in peers[name].precisions:
            known = ", ".join(f"{name}:{each}" for each in peers[name].precisions)
            parser.error(f"{text!r} is not a known precision of {name}; known: {known}")
        found.append((name, precision))
    if len(set(found)) != len(found):
        parser.error("a contestant is named twice")
    return tuple(found)


def _check_sizes(parser: argparse.ArgumentParser, given: Mapping[str, object]) -> None:
    needed = sum(int(str(given[name])) for name in ("prompt_tokens", "again", "reply_tokens"))
    positions = SHAPES[str(given["model"])].positions
    if needed > positions:
        parser.error(f"prompt and reply need {needed} positions, {given['model']} has {positions}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _more(text: str) -> int:
    if (count := _count(text)) < LEAST_MORE:
        raise argparse.ArgumentTypeError(f"at least {LEAST_MORE} tokens")
    return count


def _counts(text: str) -> tuple[int, ...]:
    found = tuple(_count(part) for part in text.split(","))
    if max(found) > MOST_STREAMS:
        raise argparse.ArgumentTypeError(f"at most {MOST_STREAMS} streams")
    return found
