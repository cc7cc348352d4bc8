"""From the command line to an exit status: targets, runs, verification, output.

In: argv. Out: a table on stdout, a report file, and 0, or 1 if a request failed or a byte differed,
or 2 if the command is invalid. The only module that prints.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import process_time

from commands.bench.dialects import DIALECTS
from commands.bench.load.driver import Driver
from commands.bench.load.outcome import Outcome
from commands.bench.load.pace import ClosedLoop, OpenLoop, Pace, WithGuest
from commands.bench.load.requests import (
    SEEDS,
    Request,
    Sizes,
    further_turn,
    make_requests,
    shared_beginning,
)
from commands.bench.load.target import BadTargetError, Target, resolve
from commands.bench.options import Options, parse
from commands.bench.progress import Progress
from commands.bench.results import json_file
from commands.bench.results.comparison import Comparison, compare
from commands.bench.results.figures import Run, Summary, summarize
from commands.bench.results.guest import visit, visit_table
from commands.bench.results.json_file import Measured
from commands.bench.results.table import comparison_table, run_table
from commands.bench.verification.byte_checks import verify, verify_echo
from local import machine

MAX_DIFFERENCES_SHOWN = 5


def main(argv: Sequence[str]) -> int:
    """Run the bench once."""
    options = parse(argv)
    try:
        targets = _targets(options)
    except BadTargetError as error:
        return _refuse(str(error))
    # An open loop may need a connection for each request, but rarely does.
    shortage = machine.allow_files(options.requests if options.rate else options.streams)
    if shortage and not options.rate:
        return _refuse(shortage)
    try:
        measured = Bench(options, Progress()).measure(targets)
    except KeyboardInterrupt:
        return _refuse("interrupted; nothing was written", status=130)
    comparisons = _comparisons(targets, measured)
    print(_output(measured, comparisons))
    if options.guest:
        for one in measured:
            print(f"\n{one.label}\n{visit_table(visit(one.run.outcomes))}")
    if options.json:
        json_file.write(options.json, options, measured, comparisons)
    return _judge(measured, allow_errors=options.allow_errors)


class Bench:
    """Runs rounds; each run gets seeds, and so prompts, that no earlier run had."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self._options = options
        self._progress = progress
        self._next_seed: int = options.seed
        self._sizes = Sizes(
            options.prompt_tokens,
            options.reply_tokens,
            options.prompt_unit,
            named=options.distinct,
            send_seed=not options.no_seed,
            shared=shared_beginning(options.shared_tokens, options.prompt_unit, options.seed),
            turn_tokens=options.turn_tokens,
        )

    def measure(self, targets: Sequence[Target]) -> list[Measured]:
        """Warm up, then measure all rounds of all targets, alternately."""
        try:
            for target in targets:
                self._warm_up(target)
            rounds = self._options.rounds if len(targets) > 1 else 1
            return [
                one
                for number in range(1, rounds + 1)
                for target in targets
                for one in self._measure_turns(target, number)
            ]
        finally:
            self._progress.clear()

    def _warm_up(self, target: Target) -> None:
        count = self._options.warmup
        if count:
            self._progress.start(f"warming up {target.label}")
            self._drive(target, self._requests(count), ClosedLoop(self._options.streams))

    def _measure_turns(self, target: Target, number: int) -> Iterator[Measured]:
        """Measure a round: all chats' first turns, then all their second ones."""
        options = self._options
        requests = [*self._requests(options.requests), *self._guest()]
        for turn in range(1, options.turns + 1):
            label = f"{target.label}, turn {turn}" if options.turns > 1 else target.label
            self._progress.start(f"round {number}, {label}")
            run, differences = self._drive(target, requests, self._pace())
            models = {model: summarize(part) for model, part in run.by_model().items()}
            yield Measured(label, number, run, summarize(run, differences), models, turn)
            if turn < options.turns:
                requests = self._continued(requests, run.outcomes)

    def _pace(self) -> Pace:
        options = self._options
        if options.guest:
            return WithGuest(options.streams, options.guest_after)
        if options.rate:
            return OpenLoop(options.rate, options.requests, self._next_seed)
        return ClosedLoop(options.streams)

    def _requests(self, count: int) -> list[Request]:
        return make_requests(count, self._sizes, self._take_seeds(count))

    def _guest(self) -> list[Request]:
        options = self._options
        if not options.guest:
            return []
        sizes = replace(self._sizes, prompt_tokens=options.guest)
        return [replace(make_requests(1, sizes, self._take_seeds(1))[0], index=options.requests)]

    def _continued(self, requests: list[Request], outcomes: list[Outcome]) -> list[Request]:
        replies = {outcome.index: outcome.text for outcome in outcomes}
        return further_turn(requests, replies, self._sizes, self._take_seeds(len(requests)))

    def _take_seeds(self, count: int) -> int:
        first = self._next_seed
        self._next_seed = (first + count) % SEEDS
        return first

    def _drive(self, target: Target, requests: list[Request], pace: Pace) -> tuple[Run, list[str]]:
        options = self._options
        driver = Driver(target, requests, pace, options.timeout, self._progress.watch)
        run = _timed(driver)
        if options.verify:
            return run, verify(requests, run.outcomes)
        return run, verify_echo(requests, run.outcomes) if options.distinct else []


def _timed(driver: Driver) -> Run:
    """Run without the cycle collector, whose pauses would be attributed to the server."""
    gc.collect()
    gc.disable()
    began = process_time()
    try:
        return Run(driver.run(), process_time() - began)
    finally:
        gc.enable()


def _targets(options: Options) -> list[Target]:
    only = Target(
        label=f"{options.url} {options.dialect}",
        address=resolve(options.url),
        dialect=DIALECTS[options.dialect],
        models=options.models,
        path=options.path,
        token=options.token,
        keep_alive=not options.no_keepalive,
        echo=options.distinct and not options.verify,
        extra=options.extra,
    )
    if not options.compares:
        return [only]
    return [replace(only, label=f"A: {only.label}"), _other_side(options, only)]


def _other_side(options: Options, first: Target) -> Target:
    """Return the second target: equal except for the given options; a token is never shared."""
    url, dialect = options.vs or options.url, options.vs_dialect or options.dialect
    own_token = None if options.vs else options.token
    own_extra = {} if options.vs_dialect else options.extra
    return replace(
        first,
        label=f"B: {url} {dialect}",
        address=resolve(url),
        dialect=DIALECTS[dialect],
        models=options.vs_models or options.models,
        token=options.vs_token or own_token,
        extra=own_extra if options.vs_extra is None else options.vs_extra,
    )


def _comparisons(targets: Sequence[Target], measured: Sequence[Measured]) -> list[Comparison]:
    """Return the comparison of each turn; none if there is one side only."""
    if len(targets) < 2:
        return []
    rounds: dict[str, list[Summary]] = {}
    for one in sorted(measured, key=lambda each: each.turn):
        rounds.setdefault(one.label, []).append(one.summary)
    labels = [*rounds]
    return [
        compare(a, b, rounds[a], rounds[b]) for a, b in zip(labels[::2], labels[1::2], strict=True)
    ]


def _output(measured: Sequence[Measured], comparisons: Sequence[Comparison]) -> str:
    if comparisons:
        return "\n\n".join(map(comparison_table, comparisons))
    return "\n\n".join(run_table(*part) for one in measured for part in _parts(one))


def _parts(one: Measured) -> list[tuple[str, Summary]]:
    """Return a run as a whole and, if it mixes models, the part of each."""
    parts = [(f"{one.label} {model}", part) for model, part in one.models.items()]
    return [(one.label, one.summary), *(parts if len(parts) > 1 else [])]


def _judge(measured: Sequence[Measured], *, allow_errors: bool) -> int:
    """Print what went wrong, and return whether that fails the command."""
    failed = 0
    for one in measured:
        failed += one.summary.requests - one.summary.ok
        for line in one.summary.differences[:MAX_DIFFERENCES_SHOWN]:
            print(f"bench: {one.label}: {line}", file=sys.stderr)
    if failed:
        print(f"bench: {failed} requests failed; first: {_first(measured)}", file=sys.stderr)
    return 1 if failed and not allow_errors else 0


def _first(measured: Sequence[Measured]) -> str:
    seen = next(o for one in measured for o in one.run.outcomes if not o.ok)
    return f"stream {seen.index}: {seen.failure}" + (f": {seen.detail}" if seen.detail else "")


def _refuse(reason: str, status: int = 2) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return status
