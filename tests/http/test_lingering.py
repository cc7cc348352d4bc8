"""Lingering: the answer is ended, and what the client still sends is dropped, within limits."""

import gevent
from gevent import socket

from rowcast_http.lingering import linger

MUCH = bytes(1 << 20)


def send_all(client: socket.socket, data: bytes) -> int:
    """Send until everything is sent or the other end is closed; return how much was taken."""
    sent = 0
    try:
        while sent < len(data):
            sent += client.send(data[sent : sent + 4096])
    except OSError:
        pass
    return sent


def test_input_is_dropped_until_the_client_closes() -> None:
    client, served = socket.socketpair()
    with client, served:
        sending = gevent.spawn(send_all, client, MUCH)
        lingering = gevent.spawn(linger, served)
        assert client.recv(1) == b""
        assert sending.get(timeout=20) == len(MUCH)
        client.close()
        lingering.get(timeout=20)


def test_no_more_than_the_limit_is_dropped() -> None:
    client, served = socket.socketpair()
    with client:
        sending = gevent.spawn(send_all, client, MUCH)
        linger(served, 1)
        served.close()
        assert sending.get(timeout=20) < len(MUCH)


def test_a_client_that_is_gone_is_no_error() -> None:
    client, served = socket.socketpair()
    client.close()
    linger(served)
    served.close()
    linger(served)
