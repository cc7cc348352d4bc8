"""Properties of the Unix socket alone: a file, frames, and peers that misbehave.

Covers `transport/streams`, `socket_folder`.
"""

import os
import shutil
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.errors import PeerGone
from rowcast.transport import streams
from rowcast.transport.ports import Gone, Joined
from rowcast.transport.socket_folder import LONGEST_PATH, socket_folder
from rowcast.transport.streams import MAX_FRAME, FrameReader, frame_of, listen
from rowcast.transport.unix_socket import MAX_UNREAD, UnixBackendPort, UnixFrontendPort
from rowcast.wire import Accepted, Cancel, encode

from .carriers import PATIENCE, Carrier, events, tokens

FRAME = frame_of(encode([Cancel("a", 0)]))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "backend.sock")


@pytest.fixture
def carrier(path: str) -> Iterator[Carrier]:
    made = Carrier(UnixBackendPort(path), lambda: UnixFrontendPort(path))
    yield made
    made.backend.close()


@pytest.fixture
def raw(carrier: Carrier, path: str) -> Iterator[socket.socket]:
    """A connected frontend that sends whatever the test wants."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(path)
        assert [arrival for _, arrival in carrier.arrivals(1)] == [Joined()]
        yield peer


@pytest.fixture
def liar(path: str) -> Iterator[tuple[UnixFrontendPort, socket.socket]]:
    """A frontend's port, and a backend that sends it whatever the test wants."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        port = UnixFrontendPort(path)
        peer, _ = listener.accept()
        with peer:
            yield port, peer
        port.close()


@pytest.mark.slow
@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 30), max_size=20))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_frames_are_found_however_the_bytes_are_cut(bodies: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    reader, found, at = FrameReader(), list[bytes](), 0
    for size in [*sizes, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == bodies


def test_only_this_user_may_connect(carrier: Carrier, path: str) -> None:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_a_dead_backend_s_socket_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    backend = UnixBackendPort(path)
    UnixFrontendPort(path).close()
    backend.close()


def test_a_living_backend_is_not_replaced(carrier: Carrier, path: str) -> None:
    with pytest.raises(OSError, match="another backend already listens"):
        UnixBackendPort(path)
    carrier.connect()
    assert Path(path).is_socket()


def test_a_backend_listens_before_it_is_at_the_path(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others take the socket of one that does not listen for a dead one's."""
    statuses: list[int] = []
    link = os.link

    def look(fresh: Path, at: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            statuses.append(probe.connect_ex(str(fresh)))
        link(fresh, at)

    monkeypatch.setattr("rowcast.transport.streams.os.link", look)
    UnixBackendPort(path).close()
    assert statuses == [0]
    assert not list(Path(path).parent.iterdir()), "nothing is left"


def test_another_file_at_the_path_is_left_alone(path: str) -> None:
    Path(path).write_text("precious")
    with pytest.raises(OSError):
        UnixBackendPort(path)
    assert Path(path).read_text() == "precious"


def test_the_socket_s_file_goes_with_the_backend(path: str) -> None:
    UnixBackendPort(path).close()
    assert not Path(path).exists()


def test_without_a_backend_nobody_connects(path: str) -> None:
    with pytest.raises(PeerGone, match="no backend can be reached at"):
        UnixFrontendPort(path)


def test_a_path_too_long_for_a_socket_is_refused_as_a_missing_backend() -> None:
    with pytest.raises(PeerGone):
        UnixFrontendPort("/tmp/" + "x" * 200)


def test_nobody_listens_at_a_path_that_nobody_can_connect_to(path: str) -> None:
    folder = Path(path).parent
    longest = str(folder / ("x" * (LONGEST_PATH - len(str(folder)) - 1)))
    listen(longest).close()
    with pytest.raises(OSError, match="set TMPDIR to a folder with a short path"):
        listen(longest + "x")


def test_a_folder_for_sockets_has_a_short_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = socket_folder("rowcast-test-")
    try:
        listen(str(folder / "decoder.sock")).close()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(long.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_half_a_frame_waits_for_its_other_half(carrier: Carrier, raw: socket.socket) -> None:
    for at in range(len(FRAME) - 1):
        raw.sendall(FRAME[at : at + 1])
        assert carrier.backend.receive(0.02) == []
    raw.sendall(FRAME[-1:])
    assert [arrival for _, arrival in carrier.arrivals(1)] == [Cancel("a", 0)]


def test_half_a_frame_and_the_end_is_the_end(carrier: Carrier, raw: socket.socket) -> None:
    raw.sendall(FRAME + FRAME[:5])
    raw.shutdown(socket.SHUT_WR)
    assert [arrival for _, arrival in carrier.arrivals(2)] == [Cancel("a", 0), Gone()]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(struct.pack(">I", MAX_FRAME + 1), id="a frame over the limit"),
        pytest.param(struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1", id="no msgpack"),
        pytest.param(struct.pack(">I", 0), id="an empty frame"),
        pytest.param(frame_of(encode([Accepted("a", 0)])), id="an event"),
    ],
)
def test_a_frontend_that_sends_garbage_is_dropped_alone(
    carrier: Carrier, raw: socket.socket, garbage: bytes
) -> None:
    port, name = carrier.join()
    raw.sendall(garbage)
    ((dropped, arrival),) = carrier.arrivals(1)
    assert (dropped != name, arrival) == (True, Gone())
    assert raw.recv(1) == b""
    port.send([Cancel("a", 0)])
    assert carrier.arrivals(1) == [(name, Cancel("a", 0))]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(struct.pack(">I", MAX_FRAME + 1), id="a frame over the limit"),
        pytest.param(struct.pack(">I", 2) + b"\xc1\xc1", id="no msgpack"),
        pytest.param(FRAME, id="a command"),
    ],
)
def test_a_backend_that_sends_garbage_counts_as_gone(
    liar: tuple[UnixFrontendPort, socket.socket], garbage: bytes
) -> None:
    port, peer = liar
    peer.sendall(garbage)
    with pytest.raises(PeerGone):
        port.receive()


def test_a_frontend_reads_events_that_come_byte_by_byte(
    liar: tuple[UnixFrontendPort, socket.socket],
) -> None:
    port, peer = liar
    frame = frame_of(encode([Accepted("a", 0)]))
    for at in range(len(frame) - 1):
        peer.sendall(frame[at : at + 1])
        assert port.receive() == []
    peer.sendall(frame[-1:])
    assert port.receive() == [Accepted("a", 0)]


def test_a_wait_until_the_connection_is_closed_outlasts_others(
    liar: tuple[UnixFrontendPort, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SECONDS", 0.02)
    port, peer = liar
    port.receive(until_closed=False)
    for _ in range(2):
        late = threading.Timer(0.1, peer.sendall, [frame_of(encode([Accepted("a", 0)]))])
        late.start()
        assert port.receive(until_closed=True) == [Accepted("a", 0)]
        assert port.receive() == []
        late.join()


def test_a_frontend_waits_before_it_reads_while_frames_come_singly(path: str) -> None:
    """Frames that come together show that more may be there: then it reads at once."""
    waits: list[socket.socket] = []
    backend = UnixBackendPort(path)
    port = UnixFrontendPort(path, waits.append)
    ((name, _),) = Carrier(backend, lambda: port).arrivals(1)
    for together, before in ((1, 0), (1, 1), (3, 2), (1, 2), (1, 3)):
        for _ in range(together):
            backend.send(name, [tokens("a", 1)])
        assert list(port.receive(until_closed=True)) == [tokens("a", 1)] * together
        assert len(waits) == before
    port.close()
    backend.close()


@pytest.mark.slow
def test_a_frontend_that_never_reads_is_dropped_and_the_others_go_on(carrier: Carrier) -> None:
    (lazy, lazy_name), (reading, reading_name) = carrier.join(), carrier.join()
    batch = [tokens("flood", 700_000)]
    size = len(frame_of(encode(batch)))
    for count in range(2 * MAX_UNREAD // size):
        carrier.backend.send(lazy_name, batch)
        carrier.backend.send(reading_name, [tokens(f"{count}", 1)])
        assert events(reading, 1) == [tokens(f"{count}", 1)]
        if carrier.backend.receive(0) == [(lazy_name, Gone())]:
            break
    else:
        pytest.fail("it was never dropped")
    assert count * size >= MAX_UNREAD - size
    lazy.close()


def test_a_frontend_that_dies_without_a_word_is_gone(carrier: Carrier, raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    assert [arrival for _, arrival in carrier.arrivals(1)] == [Gone()]


def test_a_wait_of_another_kind_on_a_closed_port_sees_its_end(carrier: Carrier, path: str) -> None:
    port = UnixFrontendPort(path)
    port.close()
    with pytest.raises(PeerGone):
        port.receive(until_closed=True)
