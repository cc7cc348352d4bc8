"""No descriptor is left for a connection: it waits, the log says so once, and then it goes on."""

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import until
from rowcast.errors import PeerGone
from rowcast.frontend.sessions import demultiplexer
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.transport import descriptors
from rowcast.transport.memory import MemoryFrontendPort, MemoryTransport
from rowcast.transport.ports import Joined
from rowcast.transport.unix_socket import UnixBackendPort, UnixFrontendPort


@contextlib.contextmanager
def left(count: int) -> Iterator[None]:
    """Leave so many descriptors to this process."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the lowest that is free
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """What is appended to at each attempt to accept a connection."""
    made: list[None] = []
    accept = socket.socket.accept

    def counted(listener: socket.socket) -> object:
        made.append(None)
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    return made


def test_a_backend_without_descriptors_does_not_spin_and_accepts_later(
    tmp_path: Path,
    attempts: list[None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    monkeypatch.setattr(descriptors, "time", clock)
    path = str(tmp_path / "backend.sock")
    port = UnixBackendPort(path)
    with contextlib.closing(port), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        with left(0):
            assert [port.receive(0) for _ in range(50)] == [[]] * 50
            assert len(attempts) == 1
            clock.now += descriptors.PAUSE_SECONDS
            assert [port.receive(0) for _ in range(50)] == [[]] * 50
            assert len(attempts) == 2
        assert port.receive(0) == []
        clock.now += descriptors.PAUSE_SECONDS
        assert [arrival for _, arrival in port.receive(0)] == [Joined()]
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "no connections to the backend for now: Too many open files"),
        ("WARNING", "connections to the backend are made again"),
    ]


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {each for each in found if each.startswith("socket:")}


@pytest.mark.parametrize("count", [0, 1])
def test_a_frontend_without_descriptors_has_no_backend_and_loses_none(
    tmp_path: Path, count: int
) -> None:
    path = str(tmp_path / "backend.sock")
    with contextlib.closing(UnixBackendPort(path)):
        before = sockets()
        with left(count), pytest.raises(PeerGone, match="Too many open files"):
            UnixFrontendPort(path)
        assert sockets() - before == set()  # others may close theirs meanwhile
        UnixFrontendPort(path).close()


def test_a_demultiplexer_says_once_that_there_are_none_and_connects_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(demultiplexer, "RETRY_FIRST", 0.01)
    transport, failures = MemoryTransport(), iter(range(3))

    def connect() -> MemoryFrontendPort:
        for _ in failures:
            short = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            raise PeerGone("no descriptor") from short
        return transport.connect()

    sessions = Sessions(connect, silence_seconds=60, recovery_seconds=60)
    sessions.start()
    with contextlib.closing(sessions):
        until(lambda: bool(transport.backend_port.frontends), "it connects")
    assert [each.levelname for each in caplog.records] == ["ERROR", "WARNING"]
