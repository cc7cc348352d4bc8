"""SIGTERM while streams are read and new requests keep arriving."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import Truth, fault_of, is_refused, undisturbed
from local.server import Server

STREAMS = 32
STOP_SECONDS = 180.0


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, seen = Finding(), _Results()
    with context.server() as server:
        truth = undisturbed(server, kinds.mixed(dice, STREAMS * 2, 60, 160))
    for number in range(1, size + 1):
        with context.server(WORKERS=2, GRACEFUL_SECONDS=120) as server:
            seen.take(_stop(server, truth, dice), truth)
        context.progress(f"{number} of {size} stops")
    found.faults += seen.faults
    found.figures.append(
        f"{size} stops, {seen.finished} answers whole, {len(seen.faults)} faults; "
        f"{seen.refused} later requests answered 503, {seen.unconnected} could not connect"
    )
    return found


@dataclass(slots=True)
class _Stop:
    """One stop: all requests, the time of SIGTERM, and how the server ended."""

    readings: list[Reading]
    stopped_at: float
    status: int | None


@dataclass(slots=True)
class _Results:
    """The results of all stops."""

    finished: int = 0
    refused: int = 0
    unconnected: int = 0  # arrived when nothing listened any more
    faults: list[str] = field(default_factory=list)

    def take(self, stop: _Stop, truth: Truth) -> None:
        """Judge all requests, and how the server ended."""
        if stop.status != 0:
            self.faults.append(f"the server ended with status {stop.status}")
        for reading in stop.readings:
            late = reading.began > stop.stopped_at
            if is_refused(reading):
                self.refused += 1
            elif late and reading.status == 0:
                self.unconnected += 1
            elif fault := fault_of(reading, truth):
                self.faults.append(fault)
            else:
                self.finished += 1


def _stop(server: Server, truth: Truth, dice: random.Random) -> _Stop:
    """Fill the server, stop it, and keep sending until it has ended."""
    crowd, requests, readings = Crowd(server.port), cycle(dice.sample([*truth], len(truth))), []
    limit = perf_counter() + dice.uniform(0.2, 1.5)
    while perf_counter() < limit:
        if len(crowd) < STREAMS:
            readings.append(crowd.begin(next(requests)))
        crowd.turn(0.005)
    server.send(signal.SIGTERM)
    stopped_at = perf_counter()
    while server.runs and perf_counter() - stopped_at < STOP_SECONDS:
        if len(crowd) < 2 * STREAMS:
            readings.append(crowd.begin(next(requests)))
        crowd.turn(0.02)
    crowd.drain(10)
    crowd.close()
    return _Stop(readings, stopped_at, server.status(1))


CLAIM = Claim(
    "stops",
    "SIGTERM under load: no stream is cut, later requests are refused, exit status 0",
    Sizes(test=2, ci=5, full=50),
    "stops",
    _run,
)
