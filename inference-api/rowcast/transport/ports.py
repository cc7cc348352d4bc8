"""The two ends of the connection between a frontend and a backend, as Protocols.

A frontend holds a `FrontendPort`: it sends commands (the input queue) and receives events (the
output queue). A backend holds one `BackendPort` for all its frontends: it receives their commands,
and learns which frontends joined or left; it sends each its own events, one batch per step.
Carriers: `memory` (tests, one process), `unix_socket` (processes on one machine).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rowcast.wire import Command, Event

FrontendId = int


@dataclass(frozen=True, slots=True)
class Joined:
    """A frontend has connected."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A frontend has ended; its replies have no reader."""


Arrival = tuple[FrontendId, Command | Joined | Gone]


class FrontendPort(Protocol):
    """A frontend's end."""

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands, completely and in order. Raises PeerGone."""

    def receive(self) -> list[Event]:
        """Wait for the next events. Raises PeerGone if the backend has ended."""

    def close(self) -> None:
        """End the connection; the backend frees what this frontend held."""


class BackendPort(Protocol):
    """A backend's end, for all its frontends."""

    def receive(self, timeout: float) -> list[Arrival]:
        """Return what has arrived; wait up to `timeout` seconds for something."""

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        """Send one batch to one frontend without waiting for it. Unknown frontends are ignored."""

    def close(self) -> None:
        """End all connections."""
