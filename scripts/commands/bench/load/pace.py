"""When requests start: as soon as another ends (closed loop), or at given times (open loop).

In: how many are sent and in flight. Out: the time at which the next one is due. An open loop keeps
its schedule however slow the server is; latency counts from the scheduled time, so that a stalled
server cannot hide its stall by receiving fewer requests.
"""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Protocol


class Pace(Protocol):
    """Decides when the next request starts."""

    def due(self, sent: int, in_flight: int, now: float) -> float | None:
        """Return the time at which the next request is due; None: not before another has ended."""


class ClosedLoop:
    """Keeps a fixed number of requests in flight."""

    def __init__(self, streams: int) -> None:
        self._streams = streams

    def due(self, sent: int, in_flight: int, now: float) -> float | None:  # noqa: ARG002
        """Return now if a stream is free."""
        return now if in_flight < self._streams else None


class OpenLoop:
    """Poisson arrivals: independent users, `rate` per second on average."""

    def __init__(self, rate: float, requests: int, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._offsets = list(accumulate(dice.expovariate(rate) for _ in range(requests)))
        self._began: float | None = None

    def due(self, sent: int, in_flight: int, now: float) -> float | None:  # noqa: ARG002
        """Return the scheduled time, whatever is in flight; the first call starts the clock."""
        if self._began is None:
            self._began = now
        return self._began + self._offsets[sent]


class WithGuest:
    """All streams at once, and the last request, the guest, `after` seconds later."""

    def __init__(self, streams: int, after: float) -> None:
        self._streams = streams
        self._after = after
        self._began: float | None = None

    def due(self, sent: int, in_flight: int, now: float) -> float | None:  # noqa: ARG002
        """Return now for the streams, and the fixed time for the guest."""
        if self._began is None:
            self._began = now
        return self._began + (self._after if sent == self._streams else 0.0)
