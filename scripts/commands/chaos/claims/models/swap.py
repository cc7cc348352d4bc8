"""A model is swapped while 32 streams of it are read: what they notice, and how long it takes."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.builds import MODELS, NEW, OLD, STORY, Build, right_answers
from commands.chaos.models.model_file import ModelFile
from commands.chaos.models.tally import Tally
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading, without_gc
from commands.chaos.traffic.flow import PATIENCE, description
from commands.chaos.traffic.request import Request
from local.server import Server, ServerError

STREAMS = 32
CALM_SECONDS = 3.0
LOOK_SECONDS = 0.05
EXTRA_SECONDS = 1.0


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    requests = kinds.mixed(dice, STREAMS + 8, 100, 200, kinds=kinds.ONE_STREAM, model=STORY)
    right = right_answers(context, (OLD, NEW), requests)
    file = ModelFile(context.folder / "models.json", {STORY: OLD.entry})
    tally, swaps = Tally(right), list[_Swap]()
    with context.server(MODELS=file.path) as server, without_gc():
        for number in range(size):
            before, after = ((OLD, NEW), (NEW, OLD))[number % 2]
            swap = _Swap(server, before.label, after.label, tally)
            swap.run(cycle(requests), file, after)
            found.faults += swap.faults
            swaps.append(swap)
            context.progress(f"{number + 1} of {size} swaps")
    found.faults += tally.faults
    extra = max(each.longest_gap - each.calm_gap for each in swaps)
    found.want(extra < EXTRA_SECONDS, f"a stream paused {extra:.2f} s longer; wanted 1 s")
    found.figures.append(
        f"{size} swaps, {sum(each.spanned for each in swaps)} streams ran through one; "
        f"{tally.summary}"
    )
    found.figures.append(
        f"longest gap of a stream {_ms(each.calm_gap for each in swaps)} calm and "
        f"{_ms(each.longest_gap for each in swaps)} during a swap; the new build was there "
        f"{max(each.switched - each.changed for each in swaps):.1f} s after the file's change, its "
        f"first token {_ms(each.first_token for each in swaps)} after that"
    )
    return found


@dataclass(slots=True)
class _Swap:
    """One swap: streams before, during and after it."""

    server: Server
    old: str  # labels of the builds
    new: str
    tally: Tally
    faults: list[str] = field(default_factory=list)
    spanned: int = 0
    calm_gap: float = 0.0  # the longest, in seconds
    longest_gap: float = 0.0
    changed: float = 0.0  # time of the file's change
    switched: float = 0.0  # time at which the server reported the new build
    first_token: float = 0.0  # of the new build: seconds after `switched`
    _readings: list[Reading] = field(default_factory=list)

    def run(self, requests: Iterator[Request], file: ModelFile, after: Build) -> None:
        """Swap once, and read streams before, during and after it."""
        with contextlib.closing(Crowd(self.server.port)) as crowd:
            fingerprint = reports.models_of(self.server)[STORY].fingerprint
            began = self._read_calmly(crowd, requests)
            self.changed = perf_counter()
            file.set(STORY, after.entry)
            last_old = self._read_until_switched(crowd, requests, fingerprint)
            self.spanned = sum(each.ended is None for each in self._readings)
            probe = crowd.begin(next(requests))
            crowd.drain(PATIENCE)
        self.calm_gap = self._longest_gap(began, self.changed)
        self.longest_gap = self._longest_gap(self.changed, perf_counter())
        self.first_token = (probe.arrivals or [probe.began])[0] - self.switched
        self._judge([*self._readings, probe], last_old)

    def _read_calmly(self, crowd: Crowd, requests: Iterator[Request]) -> float:
        """Let the streams run for a while; return the time from which all of them ran."""
        self._turn(crowd, requests)
        while not all(each.arrivals or each.ended for each in self._readings[:STREAMS]):
            self._turn(crowd, requests)
        began = perf_counter()
        while perf_counter() < began + CALM_SECONDS:
            self._turn(crowd, requests)
        return began

    def _read_until_switched(
        self, crowd: Crowd, requests: Iterator[Request], fingerprint: str
    ) -> float:
        """Read until the server reports another build; return when it last reported the old one."""
        last_old, look = perf_counter(), crowd.begin(reports.REPORT)
        while perf_counter() < self.changed + PATIENCE:
            self._turn(crowd, requests)
            if look.ended is None:
                continue
            if not look.whole:
                raise ServerError(description(look))
            report = reports.parsed(json.loads(look.body))[STORY]
            if report.fingerprint not in {fingerprint, ""}:
                self.switched = look.ended
                return last_old
            if perf_counter() > look.began + LOOK_SECONDS:
                last_old, look = look.began, crowd.begin(reports.REPORT)
        raise ServerError(f"the model was not swapped within {PATIENCE:.0f} s")

    def _turn(self, crowd: Crowd, requests: Iterator[Request]) -> None:
        """Keep all streams running, and read what has arrived."""
        running = sum(each.ended is None for each in self._readings)
        for _ in range(STREAMS - running):
            self._readings.append(crowd.begin(next(requests)))
        crowd.turn(0.01)

    def _longest_gap(self, since: float, until: float) -> float:
        """Return the longest gap that began in this time, of the streams of the old build."""
        gaps = (
            later - sooner
            for each in self._readings
            for sooner, later in pairwise(each.arrivals)
            if since <= sooner < until
        )
        return max(gaps, default=0.0)

    def _judge(self, readings: list[Reading], last_old: float) -> None:
        for reading in readings:
            labels = self.tally.take(reading)
            if labels == (self.new,) and reading.began < last_old:
                self.faults.append("a stream that began before the swap is of the new build")
            if labels == (self.old,) and reading.began > self.switched:
                self.faults.append("a stream that began after the swap is of the old build")
        if not self.spanned:
            self.faults.append("no stream ran through the swap: nothing was tested")


def _ms(seconds: Iterator[float]) -> str:
    return f"{max(seconds) * 1000:.0f} ms"


CLAIM = Claim(
    "swap",
    "A model is swapped under 32 running streams: each ends with the bytes of the build that it "
    "began with, later ones are of the new build; no stream pauses 1 s longer than without a swap",
    Sizes(test=1, ci=1, full=20),
    "swaps",
    _run,
    MODELS,
)
