"""The two ends of the way between a frontend and a backend, as Protocols.

A frontend holds a `FrontendPort`: it sends commands (the input queue) and receives events (the
output queue). A backend holds one `BackendPort` for all its frontends: it receives what any of
them sent, who joined and who is gone, and sends each its own events, one batch a step.
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
    """A frontend has ended; nobody reads its replies."""


Arrival = tuple[FrontendId, Command | Joined | Gone]


class FrontendPort(Protocol):
    """A frontend's end."""

    def send(self, commands: Sequence[Command]) -> None:
        """Hand commands over, whole and in order. Raises PeerGone."""

    def receive(self) -> list[Event]:
        """Wait for the next events. Raises PeerGone at the backend's end."""

    def close(self) -> None:
        """End the connection; the backend frees what this frontend held."""


class BackendPort(Protocol):
    """A backend's end, for all its frontends."""

    def receive(self, timeout: float) -> list[Arrival]:
        """What has arrived; waits up to `timeout` seconds when nothing has."""

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        """Hand one batch to one frontend without waiting for it. Unknown frontends are ignored."""

    def close(self) -> None:
        """End all connections."""
