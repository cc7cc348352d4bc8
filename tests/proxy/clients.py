"""Clients for the proxy's tests: a well-behaved one, and one that sends arbitrary bytes."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jwt

PATIENCE = 20.0
SECRET = "a secret for tests, and long enough for HS256"
PROXY_SECRET = "shared by proxy and server"


def token(**claims: object) -> str:
    return jwt.encode({"team_id": "blue", "token_id": "t-1", **claims}, SECRET, algorithm="HS256")


def bearer(**claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def message(self) -> str:
        """Return the sentence of an error, and check that its body has the agreed form."""
        error = json.loads(self.body)
        assert set(error) == {"status_code", "message"}
        assert error["status_code"] == self.status
        return str(error["message"])


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a request as a well-behaved client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())


def generate(port: int, body: bytes = b"{}", path: str = "/inference/scripted") -> Reply:
    return ask(port, "POST", path, body, bearer())


def raw_request(*lines: str, body: bytes = b"", authorized: bool = True) -> bytes:
    """Return a request line, the headers as given, the token, and the body."""
    said = [*lines, f"Authorization: Bearer {token()}"] if authorized else list(lines)
    return "\r\n".join(said).encode("latin-1") + b"\r\n\r\n" + body


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        yield sock


def read_reply(sock: socket.socket, method: str = "POST") -> Reply:
    response = http.client.HTTPResponse(sock, method=method)
    with contextlib.closing(response):
        response.begin()
        return Reply(response.status, response.headers, response.read())


def send_raw(port: int, data: bytes) -> Reply:
    with connected(port) as sock:
        sock.sendall(data)
        return read_reply(sock)


def everything(sock: socket.socket) -> bytes:
    """Return all bytes until the other side closes or resets."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            received += data
    return received


def read_until(sock: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = sock.recv(65536)
        assert data, f"closed after {received!r}"
        received += data
    return received
