"""Keeps a crowd in flight and compares each answer with the undisturbed one.

`undisturbed` gets the answers of an undisturbed server. `Flow` cycles through those requests and
starts a new one for each that has ended, while the claim disturbs the server; `finish` drains it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from time import perf_counter, sleep

from commands.chaos.traffic.content import content, difference
from commands.chaos.traffic.crowd import Crowd, Reading, read_all
from commands.chaos.traffic.request import Request
from local.server import Server, ServerError

WIDTH = 32
PATIENCE = 180.0
REFUSALS_SECONDS = 60.0
REFUSED_SECONDS = 0.2  # before a refused request is sent again

Truth = Mapping[Request, object]


def undisturbed(server: Server, requests: Sequence[Request], width: int = WIDTH) -> Truth:
    """Return the answer to each request without disturbance. Raises ServerError if one fails."""
    readings = answers(server.port, requests, width)
    for reading in readings:
        if not reading.whole:
            raise ServerError(f"undisturbed, {description(reading)}")
    return {each.request: content(each.request.form, bytes(each.body)) for each in readings}


def answers(port: int, requests: Sequence[Request], width: int = WIDTH) -> list[Reading]:
    """Return the answers to all of these in order; refused requests are sent again."""
    readings = read_all(port, requests, width)
    limit = perf_counter() + REFUSALS_SECONDS
    while perf_counter() < limit:
        refused = [at for at, reading in enumerate(readings) if is_refused(reading)]
        if not refused:
            break
        sleep(REFUSED_SECONDS)
        again = read_all(port, [readings[at].request for at in refused], width)
        for at, reading in zip(refused, again, strict=True):
            readings[at] = reading
    return readings


def is_refused(reading: Reading) -> bool:
    """True if the server refused with a Retry-After: then nothing was promised."""
    return reading.status == 503 and "retry-after" in reading.headers


def description(reading: Reading) -> str:
    """Describe a reading that is not as it should be."""
    detail = bytes(reading.body[-120:]) if reading.status != 200 else b""
    why = reading.failure or f"status {reading.status}"
    return f"{reading.request.kind} {reading.request.body[:60]!r}: {why} {detail!r}"


def fault_of(reading: Reading, truth: Truth) -> str | None:
    """Return what is wrong with an answer, or None."""
    if not reading.whole:
        return description(reading)
    return fault_in(reading.request, bytes(reading.body), truth)


def fault_in(request: Request, body: bytes, truth: Truth) -> str | None:
    """Return what is wrong with these bytes, or None."""
    got, wanted = content(request.form, body), truth[request.plain()]
    return None if got == wanted else f"{request.kind}: {difference(wanted, got)}"


class Flow:
    """A crowd that is kept full."""

    def __init__(self, port: int, truth: Truth, width: int = WIDTH) -> None:
        self.crowd = Crowd(port)
        self.faults: list[str] = []
        self.read = self.refused = 0
        self._requests = itertools.cycle(truth)
        self._truth = truth
        self._width = width
        self._next = 0.0

    def turn(self) -> None:
        """Begin where there is room, read what has arrived, judge what has ended."""
        while len(self.crowd) < self._width and perf_counter() > self._next:
            self._note(self.crowd.begin(next(self._requests)))
        for reading in self.crowd.turn():
            self._judge(reading)

    def run_for(self, seconds: float) -> None:
        """Continue for this many seconds."""
        limit = perf_counter() + seconds
        while perf_counter() < limit:
            self.turn()

    def finish(self, patience: float = PATIENCE) -> None:
        """Begin no more, and judge the rest."""
        for reading in self.crowd.drain(patience):
            self._judge(reading)
        self.crowd.close()

    def _note(self, reading: Reading) -> None:
        if reading.ended is not None:
            self._judge(reading)

    def _judge(self, reading: Reading) -> None:
        if is_refused(reading):
            self.refused += 1
            self._next = perf_counter() + REFUSED_SECONDS
            return
        self.read += 1
        fault = fault_of(reading, self._truth)
        if fault:
            self.faults.append(fault)

    @property
    def summary(self) -> str:
        """The results in words."""
        refused = f", {self.refused} refused with Retry-After" if self.refused else ""
        return f"{self.read} answers{refused}, {len(self.faults)} lost, doubled or altered"


def begin_all(
    crowd: Crowd, requests: Sequence[Request], patience: float = PATIENCE
) -> list[Reading]:
    """Begin all of these, and read until each streamed one has its headers."""
    readings = [crowd.begin(request) for request in requests]
    limit = perf_counter() + patience
    while perf_counter() < limit and not all(map(_has_begun, readings)):
        crowd.turn()
    return readings


def _has_begun(reading: Reading) -> bool:
    return bool(reading.status or reading.ended or reading.request.form == "json")
