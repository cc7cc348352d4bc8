"""In memory: a frontend that is announced can be answered; after the end, none may connect."""

import queue

import pytest

from rowcast.errors import PeerGone
from rowcast.transport.memory import MemoryBackendPort, MemoryTransport
from rowcast.transport.ports import Arrival
from rowcast.wire import Accepted


class Answering(queue.SimpleQueue[Arrival]):
    """Arrivals at a backend that answers each at once, as one in another thread may."""

    def __init__(self, backend: MemoryBackendPort) -> None:
        super().__init__()
        self._backend = backend

    def put(self, item: Arrival, block: bool = True, timeout: float | None = None) -> None:
        super().put(item)
        self._backend.send(item[0], [Accepted("first", 0)])


def test_the_answer_to_an_announcement_arrives() -> None:
    transport = MemoryTransport(seconds=0)
    transport.backend_port.arrivals = Answering(transport.backend_port)
    assert transport.connect().receive() == [Accepted("first", 0)]


def test_a_backend_that_has_closed_refuses_connections() -> None:
    transport = MemoryTransport()
    transport.listen().close()
    with pytest.raises(PeerGone):
        transport.connect()
    assert transport.listen().receive(0) == []
