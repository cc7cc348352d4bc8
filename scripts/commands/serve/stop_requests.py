"""Counts the signals that ask this process to end: one means finish, a second means hurry.

The signal handler only counts; the waiting code reads the count.
"""

import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """The number of signals that asked this process to end."""

    def __init__(self) -> None:
        self.count = 0

    def listen(self) -> None:
        """Start counting. A hang-up that is ignored stays ignored: that is how nohup works."""
        for each in ENDING:
            if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._count)

    def _count(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1
