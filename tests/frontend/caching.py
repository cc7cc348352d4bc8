"""A backend's port that plays a prefix cache: it finds another number of tokens at each seating."""

import itertools
from collections.abc import Iterator, Sequence

from rowcast.transport.ports import Arrival, BackendPort
from rowcast.wire import Event, Seated, Submit


class CachingPort:
    """Between backend and frontends: counts cached tokens, and records who may share them."""

    def __init__(self, port: BackendPort, counts: Iterator[int] | None = None) -> None:
        """`counts`: of the seatings, in their order; 1, 2, 3 … by default."""
        self._port = port
        self._counts = counts or itertools.count(1)
        self.submits: list[Submit] = []

    def receive(self, timeout: float) -> list[Arrival]:
        arrivals = self._port.receive(timeout)
        self.submits += [command for _, command in arrivals if isinstance(command, Submit)]
        return arrivals

    def send(self, frontend: int, events: Sequence[Event]) -> None:
        self._port.send(frontend, [self._counted(event) for event in events])

    def close(self) -> None:
        self._port.close()

    def _counted(self, event: Event) -> Event:
        return Seated(*event.key, next(self._counts)) if isinstance(event, Seated) else event
