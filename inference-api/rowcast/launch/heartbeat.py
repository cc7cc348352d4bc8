"""The backend's heartbeat: a count in memory that it shares with the launcher.

    backend   one beat per turn of its loop      launcher   has the count moved lately?

A backend that is stopped, or hangs inside its engine, looks alive by all other signs: its process
exists and its socket is open. While it loads it has no heartbeat yet, but it must at least run: the
kernel counts how often each of its threads, and of the programs that it started, was scheduled on a
processor. A fork shares the count. Knows neither
backend nor launcher.
"""

import contextlib
import mmap
import struct
import time
from pathlib import Path

_BEATS = struct.Struct("<Qd")  # the number of beats, and the time of the first


class Heartbeat:
    """The heartbeat of one backend, from before its fork to its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BEATS.size)
        self._seen = (0, 0)
        self._seen_at = time.monotonic()

    def beat(self) -> None:
        """Count one finished turn; called by the backend."""
        count, first = self._beats
        _BEATS.pack_into(self._memory, 0, count + 1, first or time.monotonic())

    def missed(self, seconds: float, backend: int) -> bool:
        """True if this process has shown no sign of life for this long; called by the launcher."""
        (count, _), now = self._beats, time.monotonic()
        sign = (count, 0 if count else turns(backend))
        if sign != self._seen:
            self._seen, self._seen_at = sign, now
        return now - self._seen_at > seconds

    def since(self) -> float:
        """Return the seconds since the first beat, 0 if there was none; called by the launcher."""
        _, first = self._beats
        return time.monotonic() - first if first else 0.0

    @property
    def _beats(self) -> tuple[int, float]:
        count, first = _BEATS.unpack_from(self._memory)
        return int(count), float(first)


def turns(pid: int, proc: Path = Path("/proc")) -> int:
    """Return how often a process and its children were scheduled on a processor.

    If the kernel does not count this, return the time, which always advances.
    """
    total = 0
    for thread in (proc / str(pid) / "task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if not (thread / "schedstat").exists():
                return time.monotonic_ns()
            total += int((thread / "schedstat").read_text().split()[2])
            total += sum(turns(int(child), proc) for child in _children(thread))
    return total


def _children(thread: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (thread / "children").read_text().split()
    return []
