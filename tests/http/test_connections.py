"""Which connections are kept when there are too many, and how many bytes of heads are held."""

import pytest
from gevent import socket
from gunicorn.http.errors import LimitRequestHeaders

from rowcast_http.connections import HEAD_BYTES, SPARE, Connection, Crowd, Limits


class Lobby:
    """A crowd, and the other ends of its connections."""

    def __init__(self, *, grace_seconds: float = 0, **limits: int) -> None:
        self.crowd = Crowd(Limits(grace_seconds=grace_seconds, **limits))
        self.peers: dict[Connection, socket.socket] = {}

    def come(self, address: str = "192.0.2.1") -> Connection:
        ours, theirs = socket.socketpair()
        made = Connection(ours.family, ours.type, ours.proto, ours.detach())
        self.peers[made] = theirs
        assert self.crowd.enter(made, (address, 1))
        return made

    def ended(self, client: Connection) -> bool:
        peer = self.peers[client]
        peer.settimeout(0.01)
        try:
            return peer.recv(1) == b""
        except TimeoutError:
            return False


def test_the_oldest_new_one_ends_first() -> None:
    lobby = Lobby(connections=3)
    first, second, third, fourth = (lobby.come() for _ in range(4))
    assert [lobby.ended(each) for each in (first, second, third, fourth)] == [True, *[False] * 3]
    assert len(lobby.crowd) == 3
    lobby.crowd.leave(first)
    assert len(lobby.crowd) == 3


def test_busy_ones_and_those_that_were_served_are_kept_longer() -> None:
    lobby = Lobby(connections=3)
    busy, served, new = (lobby.come() for _ in range(3))
    for each in (busy, served):
        lobby.crowd.begin(each)
    lobby.crowd.rest(served)
    newer = lobby.come()
    assert [lobby.ended(each) for each in (busy, served, new)] == [False, False, True]
    lobby.crowd.begin(newer)
    newest = lobby.come()
    assert [lobby.ended(each) for each in (busy, served, newer)] == [False, True, False]
    lobby.crowd.begin(newest)
    crowded = lobby.come()
    assert "limit of 3 open connections" in crowded.crowded
    assert not any(map(lobby.ended, (busy, newer, newest, crowded)))


def test_one_that_came_just_now_is_kept_longer_than_one_that_was_served() -> None:
    lobby = Lobby(connections=2, grace_seconds=3600)
    served, new = lobby.come(), lobby.come()
    lobby.crowd.begin(served)
    lobby.crowd.rest(served)
    newer = lobby.come()
    assert [lobby.ended(each) for each in (served, new, newer)] == [True, False, False]
    lobby.come()
    assert [lobby.ended(each) for each in (new, newer)] == [True, False]


def test_one_on_which_a_request_arrives_is_passed_over() -> None:
    lobby = Lobby(connections=2)
    first, second = lobby.come(), lobby.come()
    lobby.peers[first].send(b"GET")
    lobby.come()
    assert [lobby.ended(first), lobby.ended(second)] == [False, True]


def test_the_address_with_the_most_gives_way() -> None:
    lobby = Lobby(connections=4)
    alone, *crowd = lobby.come("192.0.2.7"), lobby.come(), lobby.come(), lobby.come()
    lobby.come("192.0.2.8")
    assert [lobby.ended(each) for each in (alone, *crowd)] == [False, True, False, False]


def test_an_address_has_its_own_limit() -> None:
    lobby = Lobby(connections=100, per_address=2)
    other, first, second = lobby.come("192.0.2.7"), lobby.come(), lobby.come()
    lobby.crowd.begin(second)
    third = lobby.come()
    assert [lobby.ended(each) for each in (other, first, second)] == [False, True, False]
    lobby.crowd.begin(third)
    assert "Your address has 2 connections" in lobby.come().crowded


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2%eth0", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    lobby = Lobby(connections=100, per_address=1)
    lobby.crowd.begin(lobby.come(one))
    assert bool(lobby.come(other).crowded) == same


def test_the_spare_places_end_too() -> None:
    lobby = Lobby(connections=1)
    for _ in range(1 + SPARE):
        lobby.crowd.begin(lobby.come())
    ours, _ = socket.socketpair()
    last = Connection(ours.family, ours.type, ours.proto, ours.detach())
    assert not lobby.crowd.enter(last, ("192.0.2.9", 1))


def test_a_head_that_is_too_long_is_refused() -> None:
    lobby = Lobby(connections=9)
    client = lobby.come()

    def receive(count: int) -> None:
        while count > 0:
            lobby.peers[client].send(bytes(4096))
            count -= len(client.recv(8192))

    receive(HEAD_BYTES)
    with pytest.raises(LimitRequestHeaders):
        receive(3 * 4096)


def test_the_longest_of_all_heads_ends_when_they_are_too_many() -> None:
    lobby = Lobby(connections=9, heads_bytes=HEAD_BYTES)
    short, long, last = (lobby.come() for _ in range(3))
    for client, count in ((short, 10_000), (long, 40_000), (last, 20_000)):
        lobby.peers[client].send(bytes(count))
        received = 0
        while received < count:
            received += len(client.recv(8192))
    assert [lobby.ended(each) for each in (short, long, last)] == [False, True, False]


def test_bytes_of_bodies_are_no_bytes_of_heads() -> None:
    lobby = Lobby(connections=9, heads_bytes=HEAD_BYTES)
    client = lobby.come()
    lobby.crowd.begin(client)
    for _ in range(40):
        lobby.peers[client].send(bytes(8192))
        assert client.recv(8192)
    lobby.crowd.rest(client)
    assert not lobby.ended(client)
