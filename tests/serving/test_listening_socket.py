"""The socket of a server, opened before the server starts."""

import socket
import threading

import pytest

from rowcast.errors import InvalidField, RowcastError
from rowcast.serving import listening_socket
from rowcast.serving.listening_socket import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_0_chooses_a_free_port_that_listens_at_once(host: str) -> None:
    with listen(host, 0) as opened:
        port = opened.getsockname()[1]
        socket.create_connection((host, port), timeout=10).close()


def test_a_port_that_stays_in_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_socket, "FREE_SECONDS", 0.2)
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(RowcastError, match=rf"port {port} on 127\.0\.0\.1 is in use; stop"):
            listen("127.0.0.1", port)


def test_a_port_that_becomes_free_is_taken() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    timer = threading.Timer(0.3, first.close)
    timer.start()
    with listen("127.0.0.1", port) as second:
        assert second.getsockname()[1] == port
    timer.join()


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_invalid_port_is_refused(port: int) -> None:
    with pytest.raises(InvalidField, match=f"port is {port}; give a number from 0 to 65535"):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(RowcastError, match=f"cannot listen at port 0 on {host}"):
        listen(host, 0)
