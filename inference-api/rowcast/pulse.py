"""The backend's pulse: a count in memory that it shares with the launcher.

    backend   one beat a turn of its loop        launcher   has the count moved lately?

A backend that is stopped, or hangs inside its engine, is there by all other signs: its process
lives and its socket is open. While it loads it has no pulse yet; then it must at least run: the
kernel counts how often each of its threads, and of the programs that it started, was given a
processor. Knows neither of the two; shared by a fork.
"""

import contextlib
import mmap
import struct
import time
from pathlib import Path

_BEATS = struct.Struct("<Qd")  # how many, and the moment of the first


class Pulse:
    """One backend's, from before its fork to its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BEATS.size)
        self._seen = (0, 0)
        self._seen_at = time.monotonic()

    def beat(self) -> None:
        """The backend's side: a turn is done."""
        count, first = self._beats
        _BEATS.pack_into(self._memory, 0, count + 1, first or time.monotonic())

    def missed(self, seconds: float, backend: int) -> bool:
        """The launcher's side, asked now and then: no sign of this process for so long."""
        (count, _), now = self._beats, time.monotonic()
        sign = (count, 0 if count else turns(backend))
        if sign != self._seen:
            self._seen, self._seen_at = sign, now
        return now - self._seen_at > seconds

    def since(self) -> float:
        """The launcher's side: seconds since the first one; 0 when there was none."""
        _, first = self._beats
        return time.monotonic() - first if first else 0.0

    @property
    def _beats(self) -> tuple[int, float]:
        count, first = _BEATS.unpack_from(self._memory)
        return int(count), float(first)


def turns(pid: int, proc: Path = Path("/proc")) -> int:
    """How often a process, and what it started, was given a processor.

    Where the kernel does not tell, the time: it goes on.
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
