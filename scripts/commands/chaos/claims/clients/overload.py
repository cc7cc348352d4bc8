"""Requests arrive at three times the rate that the server can answer."""

from __future__ import annotations

import contextlib
import math
import random
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading, without_gc
from commands.chaos.traffic.flow import PATIENCE, WIDTH, Truth, fault_of, undisturbed
from local.server import Server

TIMES = 3.0
LINE = 32
REFUSED_SECONDS = 0.1
GOODPUT = 0.95
TURN_SECONDS = 15


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0.02, WAITING_LINE=LINE) as server, without_gc():
        truth = undisturbed(server, kinds.raw(dice, 2 * WIDTH, 60, 60))
        peaks, floods = list[_Load](), list[_Load]()
        for seconds in seconds_of_turns(size):
            peaks.append(_closed(server, truth, seconds))
            context.progress(f"the peak is {peaks[-1].rate:.1f} answers per second")
            floods.append(_open(server, truth, seconds, TIMES * peaks[-1].rate, dice))
    arrived = [each for flood in floods for each in flood.readings]
    refused = [each for each in arrived if each.status == 503]
    accepted = [each for each in arrived if each.status != 503]
    found.faults += filter(None, (fault_of(each, truth) for each in accepted))
    without_hint = sum("retry-after" not in each.headers for each in refused)
    found.expect(not without_hint, f"{without_hint} refusals without Retry-After")
    found.expect(refused, "no request was refused: the server was not overloaded")
    waits = sorted((each.ended or each.began) - each.began for each in refused) or [0.0]
    slowest, half = waits[-1], waits[len(waits) // 2]
    share = sum(each.good for each in floods) / sum(each.good for each in peaks)
    found.want(slowest < REFUSED_SECONDS, f"a refusal took {slowest * 1000:.0f} ms; wanted 100")
    found.want(share > GOODPUT, f"goodput is {share:.0%} of the peak; wanted {GOODPUT:.0%}")
    found.figures.append(
        f"{len(arrived)} requests at {len(arrived) / size:.0f} per second: {len(accepted)} "
        f"accepted, {len(found.faults)} faults; {len(refused)} refused, p50 in "
        f"{half * 1000:.0f} ms, the slowest in {slowest * 1000:.0f} ms; "
        f"goodput {share:.0%} of the peak"
    )
    return found


def seconds_of_turns(size: int) -> list[int]:
    """Return the seconds of each alternating load, so that both have the same machine."""
    turns = math.ceil(size / TURN_SECONDS)
    return [size // turns + (turn < size % turns) for turn in range(turns)]


@dataclass(slots=True)
class _Load:
    """The requests of one load, and its useful output."""

    readings: list[Reading]
    seconds: float
    until: float

    @property
    def _in_time(self) -> list[Reading]:
        return [each for each in self.readings if each.whole and (each.ended or 0) < self.until]

    @property
    def rate(self) -> float:
        """Complete answers per second."""
        return len(self._in_time) / self.seconds

    @property
    def good(self) -> int:
        """Bytes of complete answers."""
        return sum(len(each.body) for each in self._in_time)


def _closed(server: Server, truth: Truth, seconds: int) -> _Load:
    """Run with all rows taken and the waiting line never empty, which gives the maximum."""
    crowd, requests, readings = Crowd(server.port), cycle(truth), list[Reading]()
    began = perf_counter()
    with contextlib.closing(crowd):
        while perf_counter() < began + seconds:
            while len(crowd) < WIDTH + LINE // 2:
                readings.append(crowd.begin(next(requests)))
            crowd.turn(0.01)
        crowd.drain(PATIENCE)
    return _Load(readings, seconds, began + seconds)


def _open(server: Server, truth: Truth, seconds: int, rate: float, dice: random.Random) -> _Load:
    """Run with random arrivals, `rate` per second, however busy the server is."""
    crowd, requests, readings = Crowd(server.port), cycle(truth), list[Reading]()
    began = due = perf_counter()
    with contextlib.closing(crowd):
        while perf_counter() < began + seconds:
            while due < perf_counter():
                readings.append(crowd.begin(next(requests)))
                due += dice.expovariate(rate)
            crowd.turn(0.005)
        crowd.drain(PATIENCE)
    return _Load(readings, seconds, began + seconds)


CLAIM = Claim(
    "overload",
    "At three times the capacity accepted requests all finish, the rest are refused in under "
    "100 ms with Retry-After, goodput stays within 5 % of the peak",
    Sizes(test=3, ci=10, full=120),
    "seconds",
    _run,
)
