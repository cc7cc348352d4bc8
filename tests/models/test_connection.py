"""Messages over a socket: complete, in order, and a bad peer ends its own connection only.

Covers `models/messages`.
"""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rowcast.errors import PeerGone
from rowcast.models.build import Build
from rowcast.models.connection import FrontendConnection, SupervisorConnection
from rowcast.models.messages import (
    BuildState,
    Done,
    Drop,
    FromFrontend,
    FromSupervisor,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)

BUILD = Build(id="a1", name="a", variables={"DTYPE": "int8"}, aliases=("b",))
ASKED: list[FromFrontend] = [
    Hello(7, (BUILD,)),
    Hold(BUILD),
    Drop("a1", 2.5, -1.0),
    Load(1, "a"),
    Unload(2, "a"),
]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(tmp_path / "models.sock"))
        listening.listen()
        listening.settimeout(10)
        yield listening


@pytest.fixture
def both(listener: socket.socket) -> Iterator[tuple[SupervisorConnection, FrontendConnection]]:
    """The two ends of a connection."""
    frontend = SupervisorConnection(listener.getsockname())
    supervisor = FrontendConnection(listener.accept()[0])
    yield frontend, supervisor
    frontend.close()
    supervisor.close()


Both = tuple[SupervisorConnection, FrontendConnection]


def test_messages_arrive_complete_and_in_order(both: Both) -> None:
    frontend, supervisor = both
    for message in ASKED:
        frontend.send(message)
    received: list[FromFrontend] = []
    while len(received) < len(ASKED):
        received += supervisor.receive()
    assert received == ASKED


def test_answers_arrive_though_they_are_large(both: Both) -> None:
    frontend, supervisor = both
    state = BuildState(build=BUILD, state="loading", url="u" * 500_000, current=True)
    answers: list[FromSupervisor] = [Snapshot((state,), "line 3", 99), Held("a1"), Done(1, "no")]
    for answer in answers:
        supervisor.send(answer)
    assert supervisor.has_unsent
    received: list[object] = []
    while len(received) < len(answers):
        received += frontend.receive()
        supervisor.flush()
    assert received == answers
    assert not supervisor.has_unsent


def test_the_supervisor_never_waits(both: Both) -> None:
    assert both[1].receive() == []


def test_a_frontend_that_does_not_read_is_dropped(both: Both) -> None:
    for _ in range(7):
        both[1].send(Done(1, "x" * (1 << 20)))
    with pytest.raises(PeerGone, match="unread"):
        both[1].send(Done(1, "x" * (2 << 20)))


@pytest.mark.parametrize("frame", [b"\0\0\0\1\xc1", b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_what_is_no_message_ends_the_connection(listener: socket.socket, frame: bytes) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as stranger:
        stranger.connect(listener.getsockname())
        supervisor = FrontendConnection(listener.accept()[0])
        stranger.sendall(frame)
        with pytest.raises(PeerGone):
            supervisor.receive()
        supervisor.close()


def test_each_side_notices_the_other_s_end(both: Both) -> None:
    frontend, supervisor = both
    frontend.close()
    with pytest.raises(PeerGone):
        supervisor.receive()
    with pytest.raises(PeerGone):
        frontend.send(Drop("a1"))


def test_an_ended_supervisor_is_noticed(both: Both) -> None:
    frontend, supervisor = both
    supervisor.close()
    with pytest.raises(PeerGone, match="has ended"):
        frontend.receive()


def test_without_a_supervisor_there_is_no_connection(tmp_path: Path) -> None:
    with pytest.raises(PeerGone, match="no supervisor"):
        SupervisorConnection(str(tmp_path / "models.sock"))
