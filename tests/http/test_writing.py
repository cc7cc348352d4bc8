"""A client's socket writes everything, however little the kernel accepts at once."""

import gevent
from gevent import socket as green

from rowcast_http.connections import Connection

MUCH = bytes(range(256)) * (1 << 14)


def pair() -> tuple[Connection, green.socket]:
    ours, theirs = green.socketpair()
    return Connection(ours.family, ours.type, ours.proto, ours.detach()), theirs


def test_what_fits_is_written_at_once() -> None:
    ours, theirs = pair()
    with ours, theirs:
        ours.sendall(b"a token")
        assert theirs.recv(99) == b"a token"


def test_what_does_not_fit_is_written_as_it_is_read() -> None:
    ours, theirs = pair()
    received = bytearray()

    def read() -> None:
        while data := theirs.recv(1 << 16):
            received.extend(data)

    with ours, theirs:
        reading = gevent.spawn(read)
        ours.sendall(MUCH)
        ours.shutdown(green.SHUT_WR)
        reading.join()
    assert received == MUCH
