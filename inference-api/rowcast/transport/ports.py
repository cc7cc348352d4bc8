"""The two ends of the connection between a frontend and a backend, and what connects them.

A frontend holds a `FrontendPort`: it sends commands (the input queue) and receives events (the
output queue). A backend holds one `BackendPort` for all its frontends: it receives their commands,
and learns which frontends joined or left; it sends each its own events, one batch per step. A
`Carrier` makes both; `carriers` lists them by the scheme of a URL.

A carrier may be a socket, which shows a death at once as EOF, or a broker, which shows none. So
only carriers deal with EOF; everything else sees `Joined`, `Gone` and `PeerGone`. A carrier
promises:

1. Order. Commands of one frontend, and events for it, arrive complete, once, in the order in which
   they were sent. If one is lost, the connection is over: `PeerGone` there, `Gone` here.
2. Begin and end. The backend receives `Joined` first and `Gone` last, each once; a frontend that
   connects again is another frontend. After `PeerGone` a frontend connects anew and submits its
   open prompts again, with the tokens it has; a backend's successor is never the same connection.
3. Liveness. Within a few seconds of a peer's death, the other side has `PeerGone` or `Gone`. Where
   there is no EOF, the carrier proves its own life from a thread (a long step or a long load is
   not a death), and takes silence for the end. A false alarm costs time, never a byte: repeated
   tokens are dropped by their index.
4. No waiting. `BackendPort.send` returns at once; what a frontend does not read is buffered up to
   a limit, beyond which the frontend counts as gone. Both `receive` return after some seconds at
   most, except for a frontend that waits until the connection is closed.
5. Threads. Any thread may send and close, plain or gevent's; one thread receives.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
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
Wait = Callable[[socket.socket], None]  # until a socket can be read; may raise OSError


class FrontendPort(Protocol):
    """A frontend's end."""

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands, completely and in order. Raises PeerGone."""

    def receive(self, *, until_closed: bool = False) -> Sequence[Event]:
        """Wait for the next events; after some seconds without any, return none.

        `until_closed`: wait for them as long as the connection lasts. Raises PeerGone if the
        backend has ended, once all that it sent was returned.
        """

    def close(self) -> None:
        """End the connection, and any wait for events; the backend frees what was held."""


class BackendPort(Protocol):
    """A backend's end, for all its frontends."""

    def receive(self, timeout: float) -> list[Arrival]:
        """Return what has arrived; wait up to `timeout` seconds for something."""

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        """Send one batch to one frontend without waiting for it. Unknown frontends are ignored."""

    def close(self) -> None:
        """End all connections."""


class Carrier(Protocol):
    """A means of connecting frontends and a backend.

    Each process makes its own from the same URL; within one process, both ends come from one.
    """

    @property
    def folder(self) -> Path | None:
        """The folder on this machine in which the ends meet; None if they meet elsewhere."""

    def listen(self) -> BackendPort:
        """Return the backend's end. Raises OSError or RowcastError if another backend has it."""

    def connect(self, wait: Wait | None = None) -> FrontendPort:
        """Return one more frontend's end. Raises PeerGone while there is no backend.

        `wait`: waits for a socket at a lower price than a read that finds nothing, if there is one.
        """

    def remove(self) -> None:
        """Remove what a backend that was killed has left behind."""
