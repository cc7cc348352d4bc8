"""A witness: another team's calm stream and short requests, and the figures of an interval.

It runs in a separate process (`watcher`), so that delays of this one, which builds large attacks,
are not taken for the server's.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from commands.abuse.delivery.plan import SCRIPTS
from commands.abuse.measurement.watcher import Orders

FLUSH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Figures:
    """What the witness measured between two moments. Times are maxima, in seconds."""

    stall: float  # between two chunks of its stream; an open gap counts so far
    short: float  # of a request for four tokens
    health: float  # of a health check
    chunks: int
    shorts: int  # answered with 200
    refused: int  # with another status, or no answer
    cuts: int  # streams that were cut

    def worse(self, other: Figures | None) -> Figures:
        """Return the longer times of two intervals, and the counts of this one."""
        if other is None:
            return self
        stall, short = max(self.stall, other.stall), max(self.short, other.short)
        return replace(self, stall=stall, short=short, health=max(self.health, other.health))

    @property
    def summary(self) -> str:
        """The figures in one line."""
        times = f"stall {self.stall * 1000:.0f} ms, short {self.short * 1000:.0f} ms"
        more = f", {self.refused} refused" if self.refused else ""
        return times + more + (f", {self.cuts} cut" if self.cuts else "")


class WitnessError(Exception):
    """The witness saw nothing where it should have; the text gives the details."""


class Witness:
    """One watcher, and its records."""

    def __init__(self, orders: Orders, folder: Path) -> None:
        self._orders = folder / "witness-orders.json"
        self._lines = folder / "witness-lines.json"
        self._lines.write_text("")
        orders.write(self._orders)
        self._events: list[list[Any]] = []
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the watcher; return when the stream flows and a short request was answered."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "commands.abuse.measurement.watcher", self._orders, self._lines],
            cwd=SCRIPTS,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        limit = monotonic() + 60
        while monotonic() < limit:
            time.sleep(0.1)
            seen = {event[0] for event in self._all()}
            if {"chunk", "short"} <= seen:
                return
            if self._process.poll() is not None:
                break
        raise WitnessError(f"the witness's stream did not begin; it saw {self._all()[-5:]}")

    def stop(self) -> None:
        """End the watcher."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=10)
        self._orders.unlink(missing_ok=True)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Witness]:
        """Watch for as long as the block lasts."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def calm(self, seconds: float) -> Figures:
        """Wait, and return the figures of that time."""
        began = monotonic()
        time.sleep(seconds)
        return self.between(began, monotonic())

    def between(self, begin: float, end: float) -> Figures:
        """Return the figures between two moments; the second may be now."""
        time.sleep(FLUSH_SECONDS)
        return figures(self._all(), begin, end)

    def _all(self) -> list[list[Any]]:
        with self._lines.open() as file:
            file.seek(self._read)
            fresh = file.read()
        whole = fresh[: fresh.rfind("\n") + 1]
        self._read += len(whole.encode())
        self._events += map(json.loads, whole.splitlines())
        return self._events


def figures(events: list[list[Any]], begin: float, end: float) -> Figures:
    """Return the figures of an interval, from everything that a watcher wrote."""
    inside = [event for event in events if begin <= event[1] <= end]
    shorts = [event for event in inside if event[0] == "short"]
    good = [event for event in shorts if event[3] == "200"]
    return Figures(
        stall=max((till - since for since, till in _gaps(events, begin, end)), default=0.0),
        short=max(_times(events, "short", begin, end), default=0.0),
        health=max(_times(events, "health", begin, end), default=0.0),
        chunks=sum(event[0] == "chunk" for event in inside),
        shorts=len(good),
        refused=len(shorts) - len(good),
        cuts=sum(event[0] == "cut" for event in inside),
    )


def _gaps(events: list[list[Any]], begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield gaps that overlap the interval.

    Between a clean end and the next stream there is none.
    """
    last: float | None = None
    for event in events:
        if event[1] > end:
            break
        if event[0] == "chunk":
            if last is not None and event[1] > begin:
                yield last, event[1]
            last = event[1]
        elif event[0] == "ended":
            last = None
    if last is not None and end > last:
        yield last, end


def _times(events: list[list[Any]], what: str, begin: float, end: float) -> Iterator[float]:
    """Yield the durations of requests that ended in this interval, or are still open."""
    began: float | None = None
    for event in events:
        if event[1] > end:
            break
        if event[0] == f"{what} begun":
            began = event[1]
        elif event[0] == what:
            began = None
            if event[1] > begin:
                yield event[2]
    if began is not None:
        yield end - began
