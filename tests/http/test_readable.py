"""A wait for data ends with the data, with the connection, or with the time limit."""

import socket
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as green

from rowcast_http.readable import wait_readable

Pair = tuple[green.socket, green.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = green.socketpair()
    with here, there:
        yield here, there


def test_it_returns_once_there_is_something_to_read(pair: Pair) -> None:
    here, there = pair
    waiting = gevent.spawn(wait_readable, here)
    gevent.sleep(0.01)
    assert not waiting.ready()
    there.send(b"x")
    waiting.get(timeout=10)
    assert here.recv(10) == b"x"


def test_it_returns_at_the_peer_s_end(pair: Pair) -> None:
    here, there = pair
    waiting = gevent.spawn(wait_readable, here)
    gevent.sleep(0)
    there.close()
    waiting.get(timeout=10)
    assert here.recv(10) == b""


def test_closing_the_socket_ends_the_wait(pair: Pair) -> None:
    here, _ = pair
    waiting = gevent.spawn(wait_readable, here)
    gevent.sleep(0)
    here.close()
    with pytest.raises(OSError):
        waiting.get(timeout=10)


def test_of_a_closed_socket_the_read_fails_and_not_the_wait(pair: Pair) -> None:
    here, _ = pair
    here.close()
    wait_readable(here)
    with pytest.raises(OSError):
        here.recv(10)


def test_the_socket_s_time_limit_holds(pair: Pair) -> None:
    here, _ = pair
    here.settimeout(0.01)
    with pytest.raises(TimeoutError):
        wait_readable(here)


def test_a_socket_of_the_system_waits_when_it_is_read() -> None:
    here, there = socket.socketpair()
    with here, there:
        wait_readable(here)
