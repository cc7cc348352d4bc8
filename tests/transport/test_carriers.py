"""The table of carriers, and one that shows no EOF: liveness is a promise of the carrier."""

from pathlib import Path

import pytest

from rowcast.errors import PeerGone
from rowcast.transport.carriers import CARRIERS, UnknownCarrier, carrier
from rowcast.transport.memory import MemoryTransport
from rowcast.transport.ports import Gone, Joined
from rowcast.transport.unix_socket import UnixSocket
from rowcast.wire import Accepted

from .carriers import Carrier, events
from .spool import Spool


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/run/rowcast.sock", "/run/rowcast.sock"),
        ("unix:/run/rowcast.sock", "/run/rowcast.sock"),
        ("unix:///run/rowcast.sock", "///run/rowcast.sock"),
        ("here.sock", "here.sock"),
        ("a:b/here.sock", "a:b/here.sock"),
    ],
)
def test_a_path_is_a_socket_with_and_without_its_scheme(url: str, path: str) -> None:
    assert carrier(url) == UnixSocket(path)


def test_memory_connects_the_ends_of_one_carrier_only() -> None:
    one, other = carrier("memory:"), carrier("memory:")
    assert isinstance(one, MemoryTransport)
    one.connect()
    assert [each for _, each in one.listen().receive(0)] == [Joined()]
    assert other.listen().receive(0) == []


def test_an_unknown_scheme_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UnknownCarrier, match=r"nats:.*unix:, memory:"):
        carrier("nats://127.0.0.1:4222")


def test_one_more_carrier_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CARRIERS, "spool", Spool)
    assert carrier(f"spool:{tmp_path}") == Spool(str(tmp_path))


def test_a_killed_backend_s_socket_is_removed_and_its_folder_known(tmp_path: Path) -> None:
    way = carrier(f"unix:{tmp_path}/backend.sock")
    way.listen()
    assert way.folder == tmp_path
    assert (tmp_path / "backend.sock").exists()
    way.remove()
    way.remove()
    assert not (tmp_path / "backend.sock").exists()


@pytest.mark.slow
def test_without_eof_a_frontend_that_dies_is_gone_after_some_silence(tmp_path: Path) -> None:
    way = Spool(str(tmp_path))
    backend, dies = way.listen(), way.connect()
    made = Carrier(backend, way.connect)
    assert [arrival for _, arrival in made.arrivals(1)] == [Joined()]
    _, name = made.join()
    dies.beats.stop()
    ((gone, arrival),) = made.arrivals(1)
    assert (arrival, gone != name) == (Gone(), True)
    backend.close()


@pytest.mark.slow
def test_without_eof_a_backend_that_dies_is_noticed_after_its_last_event(tmp_path: Path) -> None:
    way = Spool(str(tmp_path))
    backend = way.listen()
    port, name = Carrier(backend, way.connect).join()
    backend.send(name, [Accepted("a", 0)])
    backend.beats.stop()
    assert events(port, 1) == [Accepted("a", 0)]
    with pytest.raises(PeerGone):
        port.receive()


def test_a_backend_s_successor_is_another_connection(tmp_path: Path) -> None:
    way = Spool(str(tmp_path))
    killed = way.listen()
    port, _ = Carrier(killed, way.connect).join()
    successor = way.listen()
    with pytest.raises(PeerGone):
        port.receive()
    assert successor.receive(0) == []
    _, name = Carrier(successor, way.connect).join()
    assert name == 1
