"""A progress bar for a terminal or a log file, with the time left; no packages."""

import sys
import time
from typing import TextIO

WIDTH = 24


class Progress:
    """A bar, redrawn in place on a terminal; elsewhere a line now and then."""

    def __init__(self, total: int, done: int = 0, out: TextIO = sys.stderr) -> None:
        self._total, self._first, self._out = total, done, out
        self._began = time.monotonic()
        self._every = 0.2 if out.isatty() else 20.0
        self._shown = 0.0

    def show(self, done: int, text: str) -> None:
        now = time.monotonic()
        if now - self._shown < self._every and done < self._total:
            return
        self._shown = now
        full = WIDTH * done // self._total
        left = (now - self._began) / max(1, done - self._first) * (self._total - done)
        bar = "#" * full + "." * (WIDTH - full)
        line = f"[{bar}] {done}/{self._total}  {int(left) // 60}:{int(left) % 60:02} left  {text}"
        self._out.write(f"\r{line}\x1b[K" if self._out.isatty() else f"{line}\n")
        if done >= self._total and self._out.isatty():
            self._out.write("\n")
        self._out.flush()
