"""How a reply ended, as observers are shown it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.wire import FinishReason


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reply ended; times are on the monotonic clock."""

    reason: FinishReason
    tokens: int
    accepted: bool
    opened: float
    first: float  # when the first token arrived; 0: none did
    ended: float
    seatings: Sequence[float] = ()  # when it got a row: once, and again after each interruption
    interruptions: Sequence[float] = ()  # when a backend ended that computed it
