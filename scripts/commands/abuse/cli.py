"""From the command line to an exit status: attack after attack, then the report.

Exit: 0 if no bound was exceeded, 1 if one was, 2 if the command is invalid. The only module that
prints. A server that an attack has harmed is replaced before the next one.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import Self

from commands.abuse import report
from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.kind import Kind, Needs
from commands.abuse.attacks.shot import Attack
from commands.abuse.measurement.trial import Result, Trial
from commands.abuse.measurement.watcher import Orders
from commands.abuse.measurement.witness import Witness, WitnessError
from commands.abuse.options import NAME, Options, parse
from commands.abuse.target.stand import (
    ATTACKER,
    WITNESS,
    FarStand,
    OwnStand,
    Stand,
    fill_cache,
)
from local.server import ServerError

_HARM_MEMORY = 200 << 20
_SHOWN = 5


def main(argv: Sequence[str], kinds: Mapping[str, Kind]) -> int:
    """Attack, and report."""
    options = parse(argv, kinds)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are ended
    command = shlex.join([*NAME.split(), *_shown(argv)])
    results: list[Result] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="rowcast-abuse-") as folder,
            Range(options, Path(folder)) as ground,
        ):
            for result in _results(options, kinds, ground):
                results.append(result)
                _write(options, command, results)
    except KeyboardInterrupt:
        _log("interrupted")
    print(_write(options, command, results))
    return int(any(each.harms for each in results) and not options.report_only)


def _write(options: Options, command: str, results: Sequence[Result]) -> str:
    """Write the report after each attack, so that an interrupted run has one too."""
    table = report.rows(results) if options.exact else report.kinds(results)
    markdown = f"{report.title(options.model, command)}\n\n{table}"
    document = report.document(results, options.model, command, {"seed": options.seed})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    report.write(options.out, markdown, document)
    return markdown


def _results(options: Options, kinds: Mapping[str, Kind], ground: Range) -> Iterator[Result]:
    _log(f"seed {options.seed}")
    for kind, attack in _attacks(options, kinds, ground):
        result = ground.attack(kind, attack)
        if result.harms:
            file = (
                options.out.parent / "found" / f"{attack.kind}-{attack.seed}-{attack.number}.json"
            )
            attack.save(file)
            result = replace(result, file=str(file))
        _log(f"{attack.kind} {attack.number}: {result.seen.summary}; {dict(result.answers)}")
        for harm in result.harms[:_SHOWN]:
            _log(f"{attack.kind} {attack.number}: {harm}")
        yield result


def _attacks(
    options: Options, kinds: Mapping[str, Kind], ground: Range
) -> Iterator[tuple[Kind, Attack]]:
    """Yield saved attacks; or each kind once; or all kinds in random order until time is over."""
    if options.again:
        for path in options.again:
            attack = Attack.load(path)
            yield kinds[attack.kind], attack
        return
    chosen = [kinds[name] for name in options.kinds]
    if options.exact or options.only is not None:
        for kind in chosen:
            number = options.only or 0
            yield kind, kind.attack(ground.facts, options.seed, number, exact=options.exact)
        return
    order, number, limit = Random(options.seed), 0, monotonic() + options.seconds  # noqa: S311
    while True:
        order.shuffle(chosen)
        for kind in chosen:
            if monotonic() > limit:
                return
            yield kind, kind.attack(ground.facts, options.seed, number)
        number += 1


@dataclass(slots=True)
class Range:
    """The target of attacks: one stand at a time, replaced if harmed or unsuitable."""

    options: Options
    folder: Path
    _needs: Needs | None = None
    _facts: Facts | None = None
    _trial: Trial | None = None
    _number: int = 0
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def facts(self) -> Facts:
        """Facts about the model."""
        if self._facts is None:
            self._facts = self._open(Needs()).stand.facts()
        return self._facts

    def attack(self, kind: Kind, attack: Attack) -> Result:
        """Send an attack to a stand that meets the kind's needs."""
        trial = self._trial
        if trial is None or self._needs != kind.needs:
            trial = self._open(kind.needs)
        result = trial.run(attack, self.options.bound)
        if result.died or not result.settled or result.after - result.before > _HARM_MEMORY:
            self._close()
        return result

    def _open(self, needs: Needs) -> Trial:
        """Open a stand with its witness.

        Try twice, since the machine may be busy with other work.
        """
        self._close()
        try:
            return self._begin(needs)
        except (ServerError, WitnessError) as error:
            _log(f"{error}; once more")
            self._close()
            return self._begin(needs)

    def _begin(self, needs: Needs) -> Trial:
        self._number += 1
        folder = self.folder / f"stand-{self._number}"
        folder.mkdir()
        stand = self._own(folder, needs) if not self.options.url else self._far()
        facts, front = stand.facts(), needs.front or self.options.proxy
        team = stand.address_of(WITNESS, front=front)
        orders = Orders(team, stand.stranger(), facts.model, facts.context - 16, needs.characters)
        witness = self._closing.enter_context(Witness(orders, folder).watching())
        self._trial, self._needs = Trial(stand, witness, folder, front, self.options.calm), needs
        return self._trial

    def _own(self, folder: Path, needs: Needs) -> Stand:
        model = {"MODEL": self.options.model}
        if self.options.model == "scripted":
            model = {"MOCK_MODEL": "1", "STEP_SECONDS": "0.01"}
        stand = OwnStand(folder, self.options.port, model | dict(needs.settings))
        self._closing.callback(stand.end)
        stand.start()
        if self.options.model != "scripted":
            fill_cache(stand.address_of(ATTACKER, front=False), stand.facts())
        return stand

    def _far(self) -> Stand:
        tokens = dict(zip((ATTACKER, WITNESS), self.options.tokens, strict=True))
        return FarStand(self.options.url, tokens)

    def _close(self) -> None:
        self._trial = None
        try:
            self._closing.close()
        except ServerError as error:
            _log(f"{error}")
        self._closing = contextlib.ExitStack()


def _shown(argv: Sequence[str]) -> list[str]:
    """Return the arguments without tokens."""
    return [
        "…" if before == "--token" else each
        for before, each in zip(["", *argv], argv, strict=False)
    ]


def _log(line: str) -> None:
    sys.stderr.write(f"abuse: {line}\n")
    sys.stderr.flush()
