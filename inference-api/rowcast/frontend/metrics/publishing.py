"""Writes the state of this process once a second, for whichever process is scraped."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from rowcast.frontend.metrics import families
from rowcast_metrics.recorder import Recorder

SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """What a process reports of itself."""

    open_replies: int
    longest_pause: float
    journal_works: bool
    journal_lag: float


class Publishing:
    """The gauges of one process, and the thread that sets them."""

    def __init__(self, recorder: Recorder, state: Callable[[], State]) -> None:
        self._state = state
        self._workers = recorder.gauge(families.WORKERS)
        self._open = recorder.gauge(families.OPEN)
        self._longest = recorder.gauge(families.LONGEST)
        self._journal_works = recorder.gauge(families.JOURNAL_WORKS)
        self._journal_lag = recorder.gauge(families.JOURNAL_LAG)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        self.publish()
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        self._workers.set(0)

    def publish(self) -> None:
        """Set all gauges."""
        state = self._state()
        self._workers.set(1)
        self._open.set(state.open_replies)
        self._longest.set(state.longest_pause)
        self._journal_works.set(state.journal_works)
        self._journal_lag.set(state.journal_lag)

    def _run(self) -> None:
        while not self._closing.wait(SECONDS):
            self.publish()
