"""A frontend process is killed: other workers' streams continue, its own streams are resumed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import PATIENCE, Truth, begin_all, fault_of, undisturbed
from commands.chaos.traffic.request import Request
from commands.chaos.traffic.resumption import Cut, resume_all
from local.server import Server

WORKERS = 2
STREAMS = 24


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, seen = Finding(), _Results()
    journal = context.folder / "journal.db"
    with context.server(WORKERS=WORKERS, JOURNAL=journal, step=0.02) as server:
        _await_workers(server)
        truth = undisturbed(server, kinds.mixed(dice, STREAMS * 2, 80, 200))
        for number in range(1, size + 1):
            requests = [
                request.keyed(f"{number}-{at}")
                if request.form == "json" or dice.random() < 0.5
                else request
                for at, request in enumerate(dice.sample([*truth], STREAMS))
            ]
            seen.take(_kill_one(server, requests, dice), server.port, truth)
            _await_workers(server)
            context.progress(f"{number} of {size} kills")
    found.faults += seen.faults
    found.figures.append(
        f"{size} workers killed; all {seen.lost} of their streams were resumed, "
        f"{seen.others} of other workers continued; {len(seen.faults)} faults"
    )
    found.expect(seen.lost, "no stream was cut: nothing was tested")
    return found


@dataclass(slots=True)
class _Kill:
    """One kill: all readings at their end, and the ports of the killed worker's clients."""

    readings: Sequence[Reading]
    ports: frozenset[int]  # of the killed worker's clients


@dataclass(slots=True)
class _Results:
    """The results of all kills."""

    lost: int = 0
    others: int = 0
    faults: list[str] = field(default_factory=list)

    def take(self, kill: _Kill, port: int, truth: Truth) -> None:
        """Resume what was cut, and judge everything."""
        cuts = []
        for reading in kill.readings:
            if reading.local_port in kill.ports and not reading.whole:
                cuts.append(Cut.of(reading))
            elif fault := fault_of(reading, truth):
                self.faults.append(fault)
        self.lost += len(cuts)
        self.others += len(kill.readings) - len(cuts)
        self.faults += resume_all(port, cuts, truth)


def _kill_one(server: Server, requests: Sequence[Request], dice: random.Random) -> _Kill:
    with contextlib.closing(Crowd(server.port)) as crowd:
        readings = begin_all(crowd, requests)
        for _ in range(dice.randrange(60)):
            crowd.turn()
        open_ports = {reading.local_port for reading in crowd.open}
        holders = {port: pid for port, pid in server.holders().items() if port in open_ports}
        killed = dice.choice(sorted(set(holders.values())) or [0])
        if killed:
            psutil.Process(killed).kill()
        crowd.drain(PATIENCE)
    return _Kill(readings, frozenset(port for port, pid in holders.items() if pid == killed))


def _await_workers(server: Server) -> None:
    server.wait_until(lambda: len(server.workers()) == WORKERS and server.ready(), "all workers")


CLAIM = Claim(
    "worker-kills",
    "A frontend process is killed: streams of others are untouched, its own are resumable, "
    "equal bytes",
    Sizes(test=3, ci=10, full=100),
    "kills",
    _run,
)
