"""A lane whose jobs take random times, and whose callers do not wait for them."""

import random
import time
from collections.abc import Callable, Iterable
from functools import partial

from rowcast.grammar_limits import STACK_BYTES
from rowcast.sampling.grammars.grammars import Grammars
from rowcast.sampling.grammars.lanes import Job, Lane


class SlowLane(Lane):
    """Delays jobs by up to `seconds`, and reports some of them as late; counts both."""

    def __init__(self, seed: int, seconds: float = 0.004) -> None:
        super().__init__("slow", patience=60.0, stack_bytes=STACK_BYTES)
        self._chance = random.Random(seed)
        self._seconds = seconds
        self.jobs = 0
        self.marked = 0

    def add(self, jobs: Iterable[Job]) -> None:
        delayed = list(jobs)
        for job in delayed:
            self.jobs += 1
            job.run = partial(_after, self._chance.random() * self._seconds, job.run)
            if self._chance.random() < 0.5:
                self.marked += 1
                job.late()
        super().add(delayed)

    def settle(self, seconds: float) -> None:
        """Wait for a random time, too."""
        super().settle(min(seconds, self._chance.random() * self._seconds / 2))


def slowed(grammars: Grammars, seed: int) -> SlowLane:
    """Compute all masks of these grammars in one slow lane."""
    lane = SlowLane(seed)
    grammars._quick = lane
    grammars._slow = lane
    return lane


def _after(seconds: float, run: Callable[[], None]) -> None:
    time.sleep(seconds)
    run()
