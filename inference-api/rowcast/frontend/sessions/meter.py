"""What measures the delivery of the backend's events, and one that measures nothing.

It is called by the demultiplexer's thread, between two batches, so it must be quick. `metrics/` has
the one that counts.
"""

from collections.abc import Sequence
from typing import Protocol

from rowcast.frontend.sessions.choice import Choice


class Meter(Protocol):
    """Sees what arrives for the choices of one model."""

    def seated(self, choice: Choice, /) -> None:
        """Note that a choice has got its first row here."""

    def received(self, choices: Sequence[Choice], tokens: int, now: float, /) -> None:
        """Note that these choices have got so many tokens together, at one time."""

    def recovered(self, replies: int, seconds: float, /) -> None:
        """Note that replies were sent to the next backend, so long after the last one ended."""


class NoMeter:
    """Measures nothing."""

    def seated(self, _choice: Choice, /) -> None:
        """Do nothing."""

    def received(self, _choices: Sequence[Choice], _tokens: int, _now: float, /) -> None:
        """Do nothing."""

    def recovered(self, _replies: int, _seconds: float, /) -> None:
        """Do nothing."""
