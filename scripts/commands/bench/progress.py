"""A line on a terminal's stderr that shows the progress of a run; nothing without a terminal."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TextIO

from commands.bench.load.driver import Driver

EVERY_SECONDS = 0.2
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Called at each turn of the loop; writes a few times per second."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        self._next = 0.0
        self._label = ""

    def start(self, label: str) -> None:
        """Name the run that begins."""
        self._label = label

    def watch(self, driver: Driver) -> None:
        """Show the driver's progress."""
        if not self._shown:
            return
        now = perf_counter()
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        self._write(
            f"{self._label}: {len(driver.outcomes):,} of {driver.total:,} done, "
            f"{driver.in_flight:,} in flight, {driver.failed:,} failed"
        )

    def clear(self) -> None:
        """Clear the line."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(CLEAR_LINE + text)
        self._stream.flush()
