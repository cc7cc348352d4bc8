"""A witness: another team's calm stream and short requests, and the figures of a stretch of time.

It is measured by a process of its own (`watcher`), so that nothing that its owner does, such as
building large attacks, is taken for the server's delay.
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

from abusing.delivery import SCRIPTS
from abusing.watcher import Orders

FLUSH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Figures:
    """What the witness saw between two moments. Times are seconds, each the longest."""

    stall: float  # between two chunks of its stream; what is still going on counts so far
    short: float  # of a request for four tokens
    health: float  # of a health check
    chunks: int
    shorts: int  # answered with 200
    refused: int  # with another status, or not at all
    cuts: int  # streams that ended without their end

    def worse(self, other: Figures | None) -> Figures:
        """The longer times of two stretches, and the numbers of this one."""
        if other is None:
            return self
        stall, short = max(self.stall, other.stall), max(self.short, other.short)
        return replace(self, stall=stall, short=short, health=max(self.health, other.health))

    @property
    def told(self) -> str:
        """In a line."""
        said = f"stall {self.stall * 1000:.0f} ms, short {self.short * 1000:.0f} ms"
        more = f", {self.refused} refused" if self.refused else ""
        return said + more + (f", {self.cuts} cut" if self.cuts else "")


class WitnessError(Exception):
    """The witness saw nothing where it should have; the text says what."""


class Witness:
    """One watcher, and what it has written."""

    def __init__(self, orders: Orders, folder: Path) -> None:
        self._orders = folder / "witness-orders.json"
        self._lines = folder / "witness-lines.json"
        self._lines.write_text("")
        orders.write(self._orders)
        self._events: list[list[Any]] = []
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to watch; come back when the stream flows and a short request was answered."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "abusing.watcher", self._orders, self._lines],
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
        """It watches as long as the block lasts."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def calm(self, seconds: float) -> Figures:
        """Wait, and tell what was seen meanwhile."""
        began = monotonic()
        time.sleep(seconds)
        return self.between(began, monotonic())

    def between(self, begin: float, end: float) -> Figures:
        """What was seen between two moments, of which the second may be now."""
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
    """The figures of a stretch of time, from everything that a watcher wrote."""
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
    """Gaps that reach into the time. Between an orderly end and the next stream there is none."""
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
    """How long those took that ended in this time, or still last."""
    asked: float | None = None
    for event in events:
        if event[1] > end:
            break
        if event[0] == f"{what} asked":
            asked = event[1]
        elif event[0] == what:
            asked = None
            if event[1] > begin:
                yield event[2]
    if asked is not None:
        yield end - asked
