"""The connection on which the rows of one build are watched: begun, kept, replaced and ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.errors import PeerGone
from rowcast.frontend.watching import build_watch
from rowcast.frontend.watching.build_watch import BuildWatch
from rowcast.transport.memory import MemoryTransport
from rowcast.transport.ports import FrontendPort


@contextmanager
def backend(transport: MemoryTransport) -> Iterator[DecodeBackend]:
    made = DecodeBackend(transport.backend_port, RecordedEngine)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        thread.join(20)


class Places:
    """The backend to connect to; None while there is none."""

    def __init__(self, transport: MemoryTransport | None) -> None:
        self.transport = transport
        self.connections = 0

    def connect(self) -> FrontendPort:
        if self.transport is None:
            raise PeerGone("no backend")
        self.connections += 1
        return self.transport.connect()


def is_watched(watch: BuildWatch) -> bool:
    """Read once more; return whether there is a report."""
    watch.renew()
    return watch.report is not None


def test_nothing_connects_until_somebody_reads() -> None:
    places = Places(MemoryTransport())
    watch = BuildWatch(places.connect)
    assert (watch.report, places.connections) == (None, 0)


def test_many_readers_share_a_connection() -> None:
    transport = MemoryTransport()
    with backend(transport):
        places = Places(transport)
        watch = BuildWatch(places.connect)
        for _ in range(5):
            watch.renew()
        report = watch.wait(20)
        assert report is not None
        assert (report.status.rows, report.states.rows) == (32, ())
        assert places.connections == 1
        watch.close()


def test_the_connection_ends_after_its_last_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_watch, "IDLE_SECONDS", 0.2)
    transport = MemoryTransport()
    with backend(transport):
        places = Places(transport)
        watch = BuildWatch(places.connect)
        watch.renew()
        assert watch.wait(20) is not None
        until(lambda: watch.report is None, "the connection has ended")
        watch.renew()
        until(lambda: watch.report is not None, "it watches again")
        assert places.connections == 2
        watch.close()


def test_a_backends_successor_is_watched() -> None:
    first, second = MemoryTransport(), MemoryTransport()
    places = Places(first)
    watch = BuildWatch(places.connect)
    with backend(first):
        watch.renew()
        assert watch.wait(20) is not None
        places.transport = None
    until(lambda: watch.report is None, "the backend is lost")
    with backend(second):
        places.transport = second
        until(lambda: is_watched(watch), "its successor is watched")
        watch.close()
