"""The port through which the delivery of events is measured, and a meter that measures nothing.

The demultiplexer's thread calls it between two batches, so it must be quick. The meter that counts
is in `metrics/`.
"""

from collections.abc import Sequence
from typing import Protocol

from rowcast.frontend.sessions.choice import Choice


class Meter(Protocol):
    """Sees what arrives for the choices of one model."""

    def seated(self, choice: Choice, /) -> None:
        """Note that a choice has got its first row here."""

    def received(self, choices: Sequence[Choice], tokens: int, now: float, /) -> None:
        """Note that these choices got `tokens` tokens together, all at the time `now`."""

    def recovered(self, replies: int, seconds: float, /) -> None:
        """Note that replies were sent to the next backend, `seconds` after the last one ended."""


class NoMeter:
    """Measures nothing."""

    def seated(self, _choice: Choice, /) -> None:
        """Do nothing."""

    def received(self, _choices: Sequence[Choice], _tokens: int, _now: float, /) -> None:
        """Do nothing."""

    def recovered(self, _replies: int, _seconds: float, /) -> None:
        """Do nothing."""
