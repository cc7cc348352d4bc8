"""Requests arrive at the very moment at which their model is unloaded: by hand, and when idle."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.model_file import ModelFile
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import PATIENCE, Truth, answers, fault_of, undisturbed
from commands.chaos.traffic.request import Request
from local.server import Server

BY_HAND, IDLE = "by-hand", "idle"
IDLE_SECONDS = 0.3
REQUESTS = 3  # per race, before and after the moment
SPREAD = 0.03  # seconds before and after it
STEP = 0.01  # seconds by which the moment moves after each race


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    scripted = {"model": "scripted", "step_seconds": 0.005}
    entry = {**(scripted if context.scripted else {"model": context.model}), "load": "lazy"}
    entries = {BY_HAND: entry, IDLE: {**entry, "idle_seconds": IDLE_SECONDS}}
    file = ModelFile(context.folder / "models.json", entries)
    with context.server(MODELS=file.path) as server:
        requests = {
            name: kinds.mixed(dice, 28, 2, 20, kinds=kinds.NAMING, model=name) for name in entries
        }
        truth = undisturbed(server, [each for name in entries for each in requests[name]])
        races = [
            _Race(server, BY_HAND, requests[BY_HAND], truth, dice),
            _Race(server, IDLE, requests[IDLE], truth, dice, IDLE_SECONDS),
        ]
        for number in range(size):
            found.faults += races[number % 2].run()
            context.progress(f"{number + 1} of {size} unloadings")
    for race in races:
        found.figures.append(
            f"{race.name}: {race.answers} requests, {race.late} of which loaded the model again"
        )
    found.figures.append(f"{size} unloadings, {len(found.faults)} failures")
    found.expect(size < 20 or all(race.late for race in races), "no request came too late")
    return found


@dataclass(slots=True)
class _Race:
    """Requests against the unloading of one model.

    The critical moment is searched for: requests come earlier after a race in which one found the
    model unloaded, and later after any other.
    """

    server: Server
    name: str
    requests: list[Request]
    truth: Truth
    dice: random.Random
    moment: float = 0.0  # seconds after the command, or after the last answer's end
    answers: int = 0
    late: int = 0

    def run(self) -> list[str]:
        """Unload it once while requests arrive; return what was wrong with their answers."""
        faults = self._load()
        loads = self._loads()
        with contextlib.closing(Crowd(self.server.port)) as crowd:
            readings = self._send(crowd)
            crowd.drain(PATIENCE)
        late = self._loads() - loads
        self.moment = max(-SPREAD, self.moment - STEP if late else self.moment + STEP)
        self.late += bool(late)
        self.answers += REQUESTS
        judged = (fault_of(each, self.truth) for each in readings)
        return [*faults, *(fault for fault in judged if fault)]

    def _load(self) -> list[str]:
        """Send one request alone, so that the model is loaded and its idle time begins."""
        (reading,) = answers(self.server.port, [self.dice.choice(self.requests)])
        fault = fault_of(reading, self.truth)
        return [f"alone: {fault}"] if fault else []

    def _loads(self) -> int:
        return reports.models_of(self.server)[self.name].loads

    def _send(self, crowd: Crowd) -> list[Reading]:
        """Send each request when it is due; return the readings of those for text."""
        began = perf_counter() + SPREAD
        around = [self.moment + self.dice.uniform(-SPREAD, SPREAD) for _ in range(REQUESTS)]
        due = [(began + each, self.dice.choice(self.requests)) for each in around]
        if self.name == BY_HAND:
            due.append((began, reports.unload(self.name)))
        readings = []
        for moment, request in sorted(due, key=lambda each: each[0]):
            while (left := moment - perf_counter()) > 0:
                crowd.turn(left)
            readings.append(crowd.begin(request))
        return [each for each in readings if each.request.path != reports.UNLOAD]


CLAIM = Claim(
    "unload-race",
    "Requests arrive at the very moment at which their model is unloaded, by hand or for being "
    "idle: none fails, every byte is right",
    Sizes(test=4, ci=6, full=1000),
    "unloadings",
    _run,
)
