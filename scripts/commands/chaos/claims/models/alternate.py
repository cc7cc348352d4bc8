"""Two models, room for one: clients alternate between them, and one is swapped again and again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.builds import (
    DRAFT,
    MODELS,
    NEW,
    OLD,
    SMALL,
    STORY,
    RightAnswers,
    right_answers_of_both,
)
from commands.chaos.models.model_file import ModelFile
from commands.chaos.models.tally import Tally
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.request import Request
from local.server import Server, ServerError

CLIENTS = 8
SWAP_SECONDS = 20.0
PATIENCE = 300.0


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    right = right_answers_of_both(context, dice, 10, 80)
    file = ModelFile(context.folder / "models.json", {STORY: OLD.lazy(), SMALL: DRAFT.lazy()})
    with context.server(
        MODELS=file.path, MODELS_MEMORY=right.room_for_one, LOAD_SECONDS=PATIENCE
    ) as server:
        load = _Load(server, right, dice)
        swaps = _Swaps(file, min(SWAP_SECONDS, size / 3))
        load.run_for(size, swaps, context.progress)
        loads = sum(each.loads for each in reports.models_of(server).values())
    tally = load.tally
    found.faults += tally.faults
    found.expect(tally.builds[NEW.label] and tally.builds[DRAFT.label], "a build computed nothing")
    found.figures += [
        f"{size} s, {swaps.count} swaps, {loads} loads, {tally.summary}",
        f"longest wait for an answer to begin {load.longest_wait:.1f} s",
    ]
    return found


@dataclass(slots=True)
class _Swaps:
    """Swaps the build of one name at regular intervals."""

    file: ModelFile
    seconds: float
    count: int = 0
    _next: float = 0.0

    def turn(self) -> None:
        """Swap if the next swap is due."""
        now = perf_counter()
        self._next = self._next or now + self.seconds
        if now >= self._next:
            self._next = now + self.seconds
            self._swap()

    def to_new(self) -> None:
        """Swap to the new build, unless it is the current one."""
        if self.count % 2 == 0:
            self._swap()

    def _swap(self) -> None:
        self.count += 1
        self.file.set(STORY, (OLD, NEW)[self.count % 2].lazy())


@dataclass(slots=True)
class _Client:
    """Sends one request after another, to each model in turn."""

    requests: dict[str, list[Request]]
    dice: random.Random
    turn: int

    def next(self) -> Request:
        self.turn += 1
        return self.dice.choice(self.requests[(STORY, SMALL)[self.turn % 2]])


class _Load:
    """The clients, and what they have received."""

    def __init__(self, server: Server, right: RightAnswers, dice: random.Random) -> None:
        requests = right.requests_by_model()
        self.tally = Tally(right)
        self.longest_wait = 0.0
        self._server = server
        self._clients = [_Client(requests, dice, at) for at in range(CLIENTS)]
        self._crowd = Crowd(server.port)
        self._open: dict[Reading, _Client] = {}

    def run_for(self, seconds: float, swaps: _Swaps, progress: Callable[[str], None]) -> None:
        """Keep all clients busy for this long, and until both new build and draft have answered."""
        end = perf_counter() + seconds
        for client in self._clients:
            self._begin(client)
        while self._open:
            now = perf_counter()
            if now > end + PATIENCE:
                raise ServerError(f"{len(self._open)} answers have no end after {PATIENCE:.0f} s")
            slow = not all(self.tally.builds[each] for each in (NEW.label, DRAFT.label))
            if now < end:
                swaps.turn()
            elif slow:  # a machine on which loads take longer than the whole run
                swaps.to_new()
            for reading in self._crowd.turn():
                self._end(reading, again=now < end or slow)
            progress(f"{self.tally.read} answers, {end - now:.0f} s left")
        self._crowd.close()

    def _begin(self, client: _Client) -> None:
        reading = self._crowd.begin(client.next())
        if reading.ended is None:
            self._open[reading] = client
        else:
            self.tally.take(reading)

    def _end(self, reading: Reading, *, again: bool) -> None:
        client = self._open.pop(reading)
        self.tally.take(reading)
        if reading.arrivals:
            self.longest_wait = max(self.longest_wait, reading.arrivals[0] - reading.began)
        if again:
            self._begin(client)


CLAIM = Claim(
    "alternate",
    "Two models, room for one: eight clients alternate between them, and one is swapped every "
    "20 s: 0 failed, 0 cut, 0 tokens of the wrong model, every byte as computed alone",
    Sizes(test=4, ci=8, full=600),
    "seconds",
    _run,
    MODELS,
)
