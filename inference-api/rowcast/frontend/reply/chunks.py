"""Where the pieces of a reply end if a stream sends several tokens at a time.

    size 4     ▪▪▪▪ ▪▪▪▪ ▪▪▪          and at the position of a reader that resumes:  ▪▪▪▪ ▪ ▪▪▪ ▪▪▪

Places are counted in tokens from the reply's beginning, so they do not depend on timing. Text of an
unfinished chunk waits, but its tokens are read at once, so a stop sequence is found at once.
"""

import time


class Chunks:
    """The places in one reply where pieces end."""

    def __init__(self, size: int = 1, pause: int = 0) -> None:
        """`size`: tokens per chunk; `pause`: one more place at which a piece ends."""
        self._size = size
        self._pause = pause

    @property
    def joins(self) -> bool:
        """True if a piece has several tokens."""
        return self._size > 1

    def left(self, tokens: int) -> int:
        """Return how many tokens may be read before the next place; 0 or less: any number."""
        before = self._pause - tokens
        if not self.joins:
            return before
        left = self._size - tokens % self._size
        return min(left, before) if before > 0 else left

    def end_at(self, tokens: int) -> bool:
        """True if a piece may end after this many tokens."""
        return not self.joins or tokens % self._size == 0 or tokens == self._pause


class Patience:
    """The seconds of silence after which a reader must get something, even while text is held."""

    def __init__(self, silence: float | None, *, joins: bool) -> None:
        self._silence = silence
        self._joins = joins and silence is not None
        self._sent = time.monotonic() if self._joins else 0.0

    @property
    def left(self) -> float | None:
        """The seconds to wait for new events; None: for ever."""
        if not self._joins or self._silence is None:
            return self._silence
        return max(0.0, self._silence - (time.monotonic() - self._sent))

    def reset(self) -> None:
        """Note that something is sent now."""
        if self._joins:
            self._sent = time.monotonic()
