"""Early refusal: while the waiting line is full, answer 503 as soon as the connection is accepted.

A refusal that goes through all of gunicorn and Flask takes six times the processor time of one
here, and that time is lost to the replies already accepted. Only plain requests for rows that have
arrived completely are refused here, by their first bytes. Anything unusual passes, to get the same
answer, or a more precise one, inside. The limit is that of the caller's team, if the proxy vouches
for it.
"""

import contextlib
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.datastructures import Headers

from rowcast.errors import Overloaded
from rowcast.frontend.api import asks_for_rows, dialect_of
from rowcast.frontend.request.identity import caller_of, kept_id
from rowcast.frontend.sessions.sessions import Sessions

LOOK = 1 << 16  # bytes of a request that are inspected
_REQUEST_LINE = re.compile(rb"POST (/[\w./-]*) HTTP/1\.[01]")
_SECRET, _TEAM = "X-Rowcast-Proxy-Secret", "X-Rowcast-Team"
_FIELD = re.compile(rb"([A-Za-z0-9-]+):([^\r\n]*)")
# A request with a key may already be recorded; the other headers change how the body is read.
_UNUSUAL = {b"idempotency-key", b"transfer-encoding", b"content-encoding", b"expect"}


@dataclass(frozen=True, slots=True)
class Knock:
    """The parts of a request on which a refusal depends."""

    path: str
    request_id: str
    team: str


class Door:
    """The early refusal of one frontend process."""

    def __init__(self, sessions: Sessions, proxy_secret: str | None = None) -> None:
        self._sessions = sessions
        self._secret = proxy_secret
        self._coming: dict[socket.socket, str] = {}  # admitted but not yet read, with their teams

    def turns_away(self, client: socket.socket) -> bool:
        """Return whether this connection was refused, with an answer, and may be closed."""
        if self._sessions.stopping or not self._sessions.counts_room:
            return False
        knock = plain_knock(_arrived(client), self._secret)
        if knock is None:
            return False
        coming = sum(team == knock.team for team in self._coming.values())
        try:
            self._sessions.check_room(team=knock.team, coming=coming)
        except Overloaded as full:
            _refuse(client, _refusal(knock, full))
            return True
        self._coming[client] = knock.team
        return False

    def came_in(self, client: socket.socket) -> None:
        """Stop counting a connection whose request is being read: its session counts instead."""
        self._coming.pop(client, None)


def plain_knock(arrived: bytes, proxy_secret: str | None = None) -> Knock | None:
    """Parse a complete, plain request for rows; None if these bytes are anything else."""
    head, _, body = arrived.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(line)
    if asked is None or not asks_for_rows("POST", path := asked[1].decode()):
        return None
    read = [field for text in fields if (field := _FIELD.fullmatch(text))]
    headers = {field[1].lower(): field[2].strip(b" \t") for field in read}
    if len(headers) < len(fields) or headers.keys() & _UNUSUAL or b"host" not in headers:
        return None
    if headers.get(b"content-length") != b"%d" % len(body):
        return None
    request_id = kept_id(headers.get(b"x-request-id", b"").decode("latin-1"))
    return Knock(path, request_id, _team_of(headers, proxy_secret))


def _team_of(headers: Mapping[bytes, bytes], proxy_secret: str | None) -> str:
    """Return the caller's team, by the same rule as inside."""
    if proxy_secret is None:
        return ""
    claims = (_SECRET, _TEAM)
    told = Headers(
        [(name, headers.get(name.lower().encode(), b"").decode("latin-1")) for name in claims]
    )
    return caller_of(told, proxy_secret).team


def plain_answer(
    status: str, body: Mapping[str, object], headers: Mapping[str, object] | None = None
) -> bytes:
    """Return a JSON response after which the connection ends."""
    said = json.dumps(body).encode()
    fields = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": len(said),
        **(headers or {}),
    }
    lines = (f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + said


def _arrived(client: socket.socket) -> bytes:
    """Peek at the bytes that have arrived; they can be read again."""
    client.setblocking(False)
    try:
        return client.recv(LOOK, socket.MSG_PEEK)
    except OSError:  # nothing has arrived yet, or the connection is broken
        return b""
    finally:
        client.setblocking(True)


def _refuse(client: socket.socket, answer: bytes) -> None:
    client.setblocking(False)
    with contextlib.suppress(OSError):  # a client that has left needs no answer
        client.recv(LOOK)  # closing with unread bytes would destroy the answer
        client.send(answer)


def _refusal(knock: Knock, full: Overloaded) -> bytes:
    body = dialect_of(knock.path).error_body(full.status, str(full), full)
    headers = {"Retry-After": full.retry_after, "X-Request-ID": knock.request_id}
    return plain_answer("503 Service Unavailable", body, headers)
