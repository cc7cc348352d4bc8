"""The door: while the waiting line is full, who would only be told so is told so at once.

A refusal that goes through all of gunicorn and Flask takes six times the processor time of one
here, and that time is taken from the replies that were accepted. Refused here are plain requests
for rows, all of which has come, by their first bytes; whatever is unusual goes in, where the same
answer, or a truer one, is given. Room is that of the caller's team, where the proxy vouches for it.
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

LOOK = 1 << 16  # bytes of a request that are looked at
_REQUEST_LINE = re.compile(rb"POST (/[\w./-]*) HTTP/1\.[01]")
_SECRET, _TEAM = "X-Rowcast-Proxy-Secret", "X-Rowcast-Team"
_FIELD = re.compile(rb"([A-Za-z0-9-]+):([^\r\n]*)")
# Who asks again may only want what is known; the others say that the body is not as it seems.
_UNUSUAL = {b"idempotency-key", b"transfer-encoding", b"content-encoding", b"expect"}


@dataclass(frozen=True, slots=True)
class Knock:
    """What a refusal depends on."""

    path: str
    request_id: str
    team: str


class Door:
    """Of one frontend process."""

    def __init__(self, sessions: Sessions, proxy_secret: str | None = None) -> None:
        self._sessions = sessions
        self._secret = proxy_secret
        self._coming: dict[socket.socket, str] = {}  # and their teams

    def turns_away(self, client: socket.socket) -> bool:
        """Whether this connection has been answered, and may be closed."""
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
        """Its request is being read: from now on its session takes the place."""
        self._coming.pop(client, None)


def plain_knock(arrived: bytes, proxy_secret: str | None = None) -> Knock | None:
    """A whole, plain request for rows; None if these bytes are anything else."""
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
    """The caller's team, by the rule that holds inside."""
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
    """An answer in JSON, after which the connection ends."""
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
    """What has come; it can be read again."""
    client.setblocking(False)
    try:
        return client.recv(LOOK, socket.MSG_PEEK)
    except OSError:  # nothing has come yet, or nothing will
        return b""
    finally:
        client.setblocking(True)


def _refuse(client: socket.socket, answer: bytes) -> None:
    client.setblocking(False)
    with contextlib.suppress(OSError):  # who has gone needs no answer
        client.recv(LOOK)  # a close before it was read would destroy the answer
        client.send(answer)


def _refusal(knock: Knock, full: Overloaded) -> bytes:
    body = dialect_of(knock.path).error_body(full.status, str(full), full)
    headers = {"Retry-After": full.retry_after, "X-Request-ID": knock.request_id}
    return plain_answer("503 Service Unavailable", body, headers)
