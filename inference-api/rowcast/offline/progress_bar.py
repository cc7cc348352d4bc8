"""A progress bar on standard error: the prompts that are done, and tokens per second.

    Rowcast  412/1000 prompts  41 %  1830 tokens/s

Only if standard error is a terminal, or the output of a notebook's cell. A class like tqdm can take
its place.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

EVERY = 0.2  # seconds between two lines


class Progress(Protocol):
    """Something that shows progress."""

    def update(self, done: int = 1, /) -> None: ...

    def count(self, tokens: int) -> None: ...

    def close(self) -> None: ...


class Silent:
    """Shows nothing."""

    def update(self, done: int = 1, /) -> None: ...

    def close(self) -> None: ...

    def count(self, tokens: int) -> None: ...


class Bar(Silent):
    """Rewrites one line of standard error."""

    def __init__(self, total: int | None, what: str = "prompts") -> None:
        self._total = total
        self._what = what
        self._done = self._tokens = 0
        self._began = self._shown = time.monotonic()

    def update(self, done: int = 1, /) -> None:
        """Count what is done."""
        self._done += done
        if time.monotonic() - self._shown > EVERY:
            self._show()

    def count(self, tokens: int) -> None:
        """Count tokens."""
        self._tokens += tokens

    def close(self) -> None:
        """Show the last state, and end the line."""
        self._show()
        sys.stderr.write("\n")

    def _show(self) -> None:
        self._shown = time.monotonic()
        speed = self._tokens / max(0.001, self._shown - self._began)
        of = f"/{self._total}" if self._total else ""
        share = f"  {100 * self._done // self._total} %" if self._total else ""
        line = f"Rowcast  {self._done}{of} {self._what}{share}  {speed:.0f} tokens/s"
        sys.stderr.write(f"\r{line:<70}")
        sys.stderr.flush()


class Foreign(Silent):
    """A bar of tqdm, or of a class like it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, done: int = 1, /) -> None:
        self._bar.update(done)

    def close(self) -> None:
        self._bar.close()


def progress(wanted: bool | Callable[..., Any], total: int | None) -> Progress:
    """Return what shows progress. `wanted`: True, False, or a class such as tqdm."""
    if callable(wanted):
        return Foreign(wanted(total=total, desc="Rowcast"))
    return Bar(total) if wanted and shows() else Silent()


def shows() -> bool:
    """True if somebody sees standard error: at a terminal, or in a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
