"""A model that is loaded at its first request: its first token, and its costs before and after."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import sleep

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.builds import DRAFT, MODELS, OLD, SMALL, STORY, right_answers
from commands.chaos.models.model_file import ModelFile
from commands.chaos.models.tally import Tally
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import answers, description
from commands.chaos.traffic.request import Request
from local.server import Server, ServerError

MEMORY = 0.05  # by which share it may grow over a load and an unloading
STEPS = 2
REST_SECONDS = 0.5
MEASUREMENTS = 3
MIB = 1 << 20
TOKENS = 200  # of a reply: so long that a pause of the reader does not hide all of its steps
IMPORTED = b" fork server ready "
NOTHING = 1.0  # MiB: two servers of the same models differ by as much


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    right = right_answers(context, (OLD,), kinds.raw(dice, 16, TOKENS, TOKENS, STORY))
    answers_of = right.answers[OLD.label]
    longest = sorted(right.requests, key=lambda each: len(str(answers_of[each])))[-4:]
    alone = ModelFile(context.folder / "one.json", {STORY: OLD.lazy()})
    both = ModelFile(context.folder / "two.json", {STORY: OLD.lazy(), SMALL: DRAFT.lazy()})
    with context.server(MODELS=alone.path) as server:
        _await_imports(server)
        one = _Rest.of(server)
    with context.server(MODELS=both.path) as server:
        _await_imports(server)
        two = _Rest.of(server)
        tally, loads = Tally(right), list[_LazyLoad]()
        for number in range(size):
            loads.append(_LazyLoad.of(server, dice.choice(longest), tally))
            context.progress(f"{number + 1} of {size} loads")
        after = _Rest.of(server)
    found.faults += tally.faults
    _judge_loads(found, loads)
    _judge_memory(found, two, after)
    _judge_second(found, one, two)
    return found


def _await_imports(server: Server) -> None:
    server.wait_until(lambda: IMPORTED in server.log.read_bytes(), "its fork server's imports")


@dataclass(frozen=True, slots=True)
class _Rest:
    """The processes and memory of an idle server."""

    processes: int
    memory: int  # bytes

    @classmethod
    def of(cls, server: Server) -> _Rest:
        """Return the smallest of several measurements, since earlier work may be finishing."""
        measured = []
        for _ in range(MEASUREMENTS):
            sleep(REST_SECONDS)
            measured.append(cls(len(server.family()), server.resources().memory))
        return min(measured, key=lambda each: each.memory)


@dataclass(frozen=True, slots=True)
class _LazyLoad:
    """One load at a request, in seconds; the model was unloaded after it."""

    first_token: float
    load: float  # as the server reports it
    steps: list[float]  # as they were seen: tokens that arrive together are one

    @classmethod
    def of(cls, server: Server, request: Request, tally: Tally) -> _LazyLoad:
        """Send a request to a model that is not loaded, then unload the model."""
        (reading,) = answers(server.port, [request])
        tally.take(reading)
        if not reading.arrivals:
            raise ServerError(f"no token: {description(reading)}")
        load = reports.models_of(server)[STORY].load_seconds
        answers(server.port, [reports.unload(STORY)])
        server.wait_until(lambda: not server.launchers(), "the unloading")
        steps = [later - sooner for sooner, later in pairwise(reading.arrivals)]
        return cls(reading.arrivals[0] - reading.began, load, steps)

    @property
    def beyond(self) -> float:
        """The seconds from the end of the load to the first token."""
        return self.first_token - self.load


def _judge_loads(found: Finding, loads: list[_LazyLoad]) -> None:
    first, load, beyond = (
        median(getattr(each, name) for each in loads) for name in ("first_token", "load", "beyond")
    )
    found.figures.append(
        f"{len(loads)} loads: first token after {first:.2f} s (p50), the load took {load:.2f} s"
    )
    steps = [step for each in loads for step in each.steps]
    if not steps:
        found.want(False, "each reply arrived at once, so no step was measured")
        return
    limit = STEPS * median(steps)
    found.want(beyond <= limit, f"{beyond * 1000:.0f} ms after the load; wanted two steps")
    found.figures.append(f"a step took {median(steps) * 1000:.1f} ms")


def _judge_memory(found: Finding, before: _Rest, after: _Rest) -> None:
    grown = after.memory / before.memory - 1
    found.want(grown < MEMORY, f"memory grew by {grown:.1%} over loads and unloadings; wanted 5 %")
    found.expect(
        after.processes <= before.processes,
        f"{after.processes - before.processes} processes are left after the unloading",
    )
    found.figures.append(
        f"memory {before.memory / MIB:.0f} MiB before the first load and {after.memory / MIB:.0f} "
        "MiB after the last unloading"
    )


def _judge_second(found: Finding, one: _Rest, two: _Rest) -> None:
    processes, memory = two.processes - one.processes, (two.memory - one.memory) / MIB
    found.expect(not processes, f"a second model that nobody requests takes {processes} processes")
    found.want(memory < NOTHING, f"a second model takes {memory:.1f} MiB without a request")
    found.figures.append(
        f"a second model without a request: {processes} processes, {memory:+.1f} MiB"
    )


CLAIM = Claim(
    "lazy",
    "A model that is loaded at its first request: its first token comes two steps after the load "
    "at the latest, its memory is free again after its unloading (within 5 %), and a second one "
    "that nobody requests takes no process and no memory",
    Sizes(test=1, ci=1, full=20),
    "loads",
    _run,
    MODELS,
)
