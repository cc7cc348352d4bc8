"""One request to the server: connect, send, read the head.

A connection carries one request and is then closed, so that closing it means "this reply is no
longer wanted" and no caller's bytes can reach another. Nothing is ever sent twice. Out: a socket,
and the head with the first bytes of the body. Knows no client.
"""

import contextlib
import ipaddress
import time
from collections.abc import Iterable
from typing import Final

from gevent import socket

from rowcast_proxy.errors import Unavailable, UpstreamBroken, UpstreamTimeout
from rowcast_proxy.forwarding.framing import BadFraming
from rowcast_proxy.forwarding.replies import LONGEST_HEAD, BadHead, Head, parse_head

RECEIVE_BYTES: Final = 65536
_SENT_TOGETHER: Final = 65536  # largest body that is copied and sent together with the head


class Upstream:
    def __init__(
        self,
        address: tuple[str, int],
        *,
        connect_seconds: float,
        first_byte_seconds: float,
    ) -> None:
        self._address = address
        self._family = _literal_family(address[0])
        self._host = _authority(*address)
        self._connect_seconds = connect_seconds
        self._first_byte_seconds = first_byte_seconds

    def connect(self) -> socket.socket:
        try:
            return self._connected()
        except OSError:
            raise Unavailable("The model server cannot be reached at the moment.") from None

    def _connected(self) -> socket.socket:
        """Connect.

        A host name is resolved each time, because it may move; a literal address never is.
        """
        if self._family is None:
            return socket.create_connection(self._address, self._connect_seconds)
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._connect_seconds)
            sock.connect(self._address)
        except BaseException:  # also if the request is ended while it connects
            sock.close()
            raise
        return sock

    def send(
        self,
        sock: socket.socket,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytearray,
    ) -> None:
        """Send the request; the caller may release its body afterwards."""
        sock.settimeout(self._first_byte_seconds)
        head = request_head(method, target, self._host, headers, len(body))
        try:
            if len(body) <= _SENT_TOGETHER:
                _send(sock, head + body)
            else:
                _send(sock, head)
                _send(sock, body)
        except TimeoutError:
            raise UpstreamTimeout("The model server did not answer in time.") from None
        except OSError:
            raise UpstreamBroken("The model server did not send a valid response.") from None

    def answer(self, sock: socket.socket, method: str) -> tuple[Head, bytes]:
        """Return the head of the answer, and the first piece of its body.

        From then on the socket has no time limit: `Idleness` ends a wait that takes too long.
        """
        try:
            head, rest = self._read_head(sock, bodiless=method == "HEAD")
            first = head.decoder.feed(rest)
        except TimeoutError:
            raise UpstreamTimeout("The model server did not answer in time.") from None
        except (OSError, BadHead, BadFraming):
            raise UpstreamBroken("The model server did not send a valid response.") from None
        sock.settimeout(None)
        return head, first

    def _read_head(self, sock: socket.socket, *, bodiless: bool) -> tuple[Head, bytes]:
        """Read the head. The deadline covers all of it, so that a slow drip cannot renew it."""
        deadline = time.monotonic() + self._first_byte_seconds
        received = b""
        while True:
            block, end, rest = received.partition(b"\r\n\r\n")
            if len(block) > LONGEST_HEAD:
                raise BadHead("its head is too long")
            head = parse_head(block, bodiless=bodiless) if end else None
            if head is not None:
                return head, rest
            received = rest if end else received + _receive(sock, deadline)


def request_head(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], length: int
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length or method == "POST":
        lines.append(f"content-length: {length}")
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a line break within a header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(sock: socket.socket, data: bytes | bytearray) -> None:
    """Send; ignore a broken pipe, since a server that refuses a body early still answers."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(data)


def _receive(sock: socket.socket, deadline: float) -> bytes:
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    data = sock.recv(RECEIVE_BYTES)
    if not data:
        raise BadHead("it closed before its head was complete")
    return data


def _literal_family(host: str) -> socket.AddressFamily | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
