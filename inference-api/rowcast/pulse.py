"""The backend's pulse: a count in memory that it shares with the launcher.

    backend   one beat a turn of its loop        launcher   has the count moved lately?

A backend that is stopped, or hangs inside its engine, is there by all other signs: its process
lives and its socket is open. While it loads it has no pulse yet, and none is missed.
Knows neither of the two; shared by a fork.
"""

import mmap
import struct
import time

_BEATS = struct.Struct("<Qd")  # how many, and the moment of the first


class Pulse:
    """One backend's, from before its fork to its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BEATS.size)
        self._seen = (0, time.monotonic())

    def beat(self) -> None:
        """The backend's side: a turn is done."""
        count, first = self._beats
        _BEATS.pack_into(self._memory, 0, count + 1, first or time.monotonic())

    def missed(self, seconds: float) -> bool:
        """The launcher's side, asked now and then: none for so long, though it had begun."""
        (count, _), now = self._beats, time.monotonic()
        if count != self._seen[0]:
            self._seen = (count, now)
        return count > 0 and now - self._seen[1] > seconds

    def since(self) -> float:
        """The launcher's side: seconds since the first one; 0 when there was none."""
        _, first = self._beats
        return time.monotonic() - first if first else 0.0

    @property
    def _beats(self) -> tuple[int, float]:
        count, first = _BEATS.unpack_from(self._memory)
        return int(count), float(first)
