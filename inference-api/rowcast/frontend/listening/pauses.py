"""Measures how long this process's event loop is blocked: while it is, no stream advances.

A green thread that wakes every TICK_SECONDS records how late it was. A pause above LONG_SECONDS is
logged. `/health` shows `longest`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("rowcast.pauses")

TICK_SECONDS = 0.05
LONG_SECONDS = 0.1
WINDOW_SECONDS = 60.0


class Pauses:
    """The pauses of this process's event loop."""

    def __init__(self) -> None:
        self._found: deque[tuple[float, float]] = deque()  # when, how long; each the longest since
        self.on_tick: Callable[[float], None] = lambda _: None  # called with each measurement
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pauses", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def longest(self) -> float:
        """Return the longest pause of the last minute, in seconds."""
        self._forget(time.monotonic())
        return self._found[0][1] if self._found else 0.0

    def note(self, seconds: float) -> None:
        """Record a pause."""
        now = time.monotonic()
        self._forget(now)
        while self._found and self._found[-1][1] <= seconds:
            self._found.pop()
        self._found.append((now, seconds))
        if seconds > LONG_SECONDS:
            _log.warning("event_loop paused_ms=%.0f", seconds * 1000)

    def _forget(self, now: float) -> None:
        while self._found and self._found[0][0] < now - WINDOW_SECONDS:
            self._found.popleft()

    def _run(self) -> None:
        due = time.monotonic() + TICK_SECONDS
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            late = max(0.0, time.monotonic() - due)
            self.note(late)
            self.on_tick(late)
            due = time.monotonic() + TICK_SECONDS
