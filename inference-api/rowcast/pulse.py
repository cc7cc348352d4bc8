"""The backend's pulse: a count in memory that it shares with the launcher.

    backend   one beat a turn of its loop        launcher   has the count moved lately?

A backend that is stopped, or hangs inside its engine, is there by all other signs: its process
lives and its socket is open. While it loads it has no pulse yet, and none is missed.
Knows neither of the two; shared by a fork.
"""

import mmap
import struct
import time

_COUNT = struct.Struct("<Q")


class Pulse:
    """One backend's, from before its fork to its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNT.size)
        self._seen = (0, time.monotonic())

    def beat(self) -> None:
        """The backend's side: a turn is done."""
        _COUNT.pack_into(self._memory, 0, self._count + 1)

    def missed(self, seconds: float) -> bool:
        """The launcher's side, asked now and then: none for so long, though it had begun."""
        count, now = self._count, time.monotonic()
        if count != self._seen[0]:
            self._seen = (count, now)
        return count > 0 and now - self._seen[1] > seconds

    @property
    def _count(self) -> int:
        (count,) = _COUNT.unpack_from(self._memory)
        return int(count)
