"""The command line: options, their defaults, and combinations that are invalid.

In: argv and the environment's BENCH_TOKEN. Out: checked `Options`, or a sentence and exit status 2.
It opens nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.bench.dialects import DIALECTS
from commands.bench.dialects.dialect import Dialect
from commands.bench.load.requests import NAME_BYTES, SEEDS, Unit

NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/bench"
USAGE = f"{NAME} --url URL [options]"
PURPOSE = "Measure a server that streams text: first byte, gaps, tokens per second."
EXAMPLES = f"""examples:
  {NAME} --url http://127.0.0.1:7000 --streams 32 --requests 320 --verify
  {NAME} --url http://127.0.0.1:1223 --token "$TOKEN" --streams 1000 --distinct --verify
  {NAME} --url http://127.0.0.1:7000 --vs http://127.0.0.1:1223 --vs-token "$TOKEN"
  {NAME} --url http://127.0.0.1:8000 --dialect openai --model NAME --rate 5 --json F"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parsed command line."""

    url: str
    dialect: str
    models: tuple[str, ...]
    path: str | None
    token: str | None = field(repr=False)
    extra: dict[str, object]
    streams: int
    requests: int
    rate: float | None
    guest: int | None
    guest_after: float
    prompt_tokens: int
    prompt_unit: Unit
    shared_tokens: int
    turns: int
    turn_tokens: int
    reply_tokens: int
    seed: int
    no_seed: bool
    warmup: int
    timeout: float
    no_keepalive: bool
    vs: str | None
    vs_dialect: str | None
    vs_models: tuple[str, ...]
    vs_token: str | None = field(repr=False)
    vs_extra: dict[str, object] | None
    rounds: int
    verify: bool
    distinct: bool
    allow_errors: bool
    json: Path | None

    @property
    def compares(self) -> bool:
        """True if there are two sides."""
        return bool(self.vs or self.vs_dialect or self.vs_models)

    @property
    def dialects(self) -> list[Dialect]:
        """The dialects of both sides, which may be equal."""
        return [DIALECTS[name] for name in (self.dialect, self.vs_dialect or self.dialect)]


def parse(argv: Sequence[str]) -> Options:
    """Parse the command line."""
    parser = _parser()
    given = parser.parse_args(argv)
    given.requests = given.requests or given.streams
    given.models = tuple(given.models or ("scripted",))
    given.vs_models = tuple(given.vs_models or ())
    given.token = given.token or os.environ.get("BENCH_TOKEN")
    if given.prompt_unit is None:
        given.prompt_unit = "byte" if given.verify or DIALECTS[given.dialect].own else "word"
    options = Options(**vars(given))
    fault = _fault(options)
    if fault:
        parser.error(fault)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description=PURPOSE,
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=23, width=98
        ),
        allow_abbrev=False,
    )
    _add_target(parser)
    _add_load(parser)
    _add_comparison(parser)
    _add_checks(parser)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    names = sorted(DIALECTS)
    add("--url", required=True, help="the server, http://HOST[:PORT][/PREFIX]")
    add(
        "--dialect", choices=names, default="native", metavar="D", help=f"one of {', '.join(names)}"
    )
    add(
        "--model",
        dest="models",
        action="extend",
        type=_names,
        metavar="NAME",
        help="the model (scripted), or several as A,B, which get requests in turn",
    )
    add("--path", metavar="PATH", help="post to this path, not the dialect's own")
    add("--token", help="bearer token (or the variable BENCH_TOKEN)")
    add("--extra", type=_json_object, default={}, metavar="JSON", help="merged into each body")


def _add_load(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--streams", type=_count, default=32, metavar="N", help="requests in flight at a time (32)")
    add("--requests", type=_count, metavar="N", help="requests in total (as many as streams)")
    add("--rate", type=_positive, metavar="R", help="open loop: R arrivals per second (Poisson)")
    add("--guest", type=_count, metavar="N", help="add one request with a prompt of N meanwhile")
    add(
        "--guest-after",
        type=_positive,
        default=5.0,
        metavar="S",
        help="seconds until it is sent (5)",
    )
    add("--prompt-tokens", type=_count, default=64, metavar="N", help="length of a prompt (64)")
    add(
        "--prompt-unit",
        choices=("byte", "word"),
        metavar="U",
        help="unit of a prompt's length: byte, or word (other dialects)",
    )
    add(
        "--reply-tokens",
        type=_count,
        default=128,
        metavar="N",
        help="maximum tokens of a reply (128)",
    )
    _add_sharing(parser)
    _add_seeds_and_limits(parser)


def _add_sharing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--shared-tokens",
        type=_natural,
        default=0,
        metavar="N",
        help="begin all prompts with the same N tokens more (0)",
    )
    add(
        "--turns",
        type=_count,
        default=1,
        metavar="N",
        help="continue each chat for N turns, each with a table (1)",
    )
    add(
        "--turn-tokens",
        type=_count,
        default=32,
        metavar="N",
        help="tokens that each further turn adds (32)",
    )


def _add_seeds_and_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seed",
        type=_seed,
        default=1,
        metavar="N",
        help="seed of prompts, arrivals and replies (1)",
    )
    add("--no-seed", action="store_true", help="let the server choose the replies' seeds")
    add("--warmup", type=_natural, default=0, metavar="N", help="requests before measuring starts")
    add(
        "--timeout",
        type=_positive,
        default=300.0,
        metavar="S",
        help="seconds allowed for one request (300)",
    )
    add("--no-keepalive", action="store_true", help="a new connection for each request")


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--vs", metavar="URL", help="compare with this server, alternately")
    add("--vs-dialect", choices=sorted(DIALECTS), metavar="D", help="the other side's dialect")
    add(
        "--vs-model",
        dest="vs_models",
        action="extend",
        type=_names,
        metavar="NAME",
        help="the other side's model, or several as A,B",
    )
    add("--vs-token", metavar="TOKEN", help="the other side's token (never --token's)")
    add(
        "--vs-extra",
        type=_json_object,
        metavar="JSON",
        help="the other side's extra (--extra's if the dialect is the same)",
    )
    add("--rounds", type=_count, default=5, metavar="N", help="rounds of a comparison (5)")


def _add_checks(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--verify", action="store_true", help="check every byte by the scripted engine's rule")
    add("--distinct", action="store_true", help="each prompt names its stream; find mix-ups")
    add("--allow-errors", action="store_true", help="exit 0 even if requests failed")
    add("--json", type=Path, metavar="FILE", help="write all figures and raw times")


def _fault(options: Options) -> str | None:
    """Return the first contradiction."""
    return next((sentence for wrong, sentence in _contradictions(options) if wrong), None)


def _contradictions(options: Options) -> Iterator[tuple[bool, str]]:
    verify, distinct, sides = options.verify, options.distinct, options.dialects
    yield (
        options.guest is not None and (bool(options.rate) or options.requests != options.streams),
        "--guest needs one request per stream: omit --rate and --requests",
    )
    yield (
        options.guest is not None and options.turns > 1,
        "--guest measures one turn: omit --turns",
    )
    yield (
        distinct and bool(options.shared_tokens),
        "--distinct needs prompts that begin with their names: omit --shared-tokens",
    )
    yield (
        verify and not all(side.plain_prompt for side in sides),
        "--verify needs a dialect whose prompt reaches the engine unchanged, not openai-chat",
    )
    yield verify and options.no_seed, "--verify needs the replies' seeds: omit --no-seed"
    yield (
        verify and options.prompt_unit == "word",
        "--verify counts prompts in bytes: omit --prompt-unit",
    )
    yield (
        distinct and not verify and not all(side.can_echo for side in sides),
        "--distinct needs --verify, or the native dialect, which can repeat its prompt",
    )
    yield (
        distinct and options.prompt_tokens <= NAME_BYTES,
        f"--distinct needs --prompt-tokens over {NAME_BYTES}, to hold the stream's name",
    )
    yield (
        options.path is not None and options.vs_dialect is not None,
        "--path needs a single dialect: omit --vs-dialect",
    )
    yield (
        options.path is not None and len(options.models) > 1 and any(side.own for side in sides),
        "--path replaces the path that names the model: give one --model, or another dialect",
    )


def _count(text: str) -> int:
    value = _natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError("want a whole number of at least 1")
    return value


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"want a whole number, not {text!r}")
    return int(text)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"want names, separated by commas, not {text!r}")
    return names


def _seed(text: str) -> int:
    value = _natural(text)
    if value >= SEEDS:
        raise argparse.ArgumentTypeError("want a number below 2**63")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"want a number above 0, not {text!r}")
    return value


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"want a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("want a JSON object")
    return value
