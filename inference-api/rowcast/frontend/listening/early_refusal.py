"""Early refusal: while the waiting line is full, answer 503 as soon as a connection is accepted.

A refusal that goes through all of gunicorn and Flask takes six times as much processor time as one
here, and that time is lost to the replies already accepted. Only plain requests for rows that have
arrived completely are refused here, by their first bytes. Anything unusual passes, to get the same
answer, or a more precise one, from the application, and so does what is stored to be computed
later. The limit is that of the request's model and of the caller's team, if the proxy vouches for
it.
"""

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.datastructures import Headers

from rowcast.errors import Overloaded
from rowcast.frontend.api import DIALECTS, is_stored, model_in, needs_rows
from rowcast.frontend.api.dialect import dialect_of
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.metrics.metrics import EARLY
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.identity import caller_of, valid_or_fresh_id
from rowcast_http.answers import last_answer
from rowcast_http.listener import answer_unread
from rowcast_metrics.causes import cause_of

LOOK = 1 << 16  # bytes of a request that are inspected
_REQUEST_LINE = re.compile(rb"POST (/[\w./-]*) HTTP/1\.[01]")
_SECRET, _TEAM = "X-Rowcast-Proxy-Secret", "X-Rowcast-Team"
_FIELD = re.compile(rb"([A-Za-z0-9-]+):([^\r\n]*)")
# A request with a key may already be recorded; the other headers change how the body is read.
_UNUSUAL = {b"idempotency-key", b"transfer-encoding", b"content-encoding", b"expect"}


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """The parts of a request on which a refusal depends."""

    path: str
    request_id: str
    team: str
    body: bytes = b""


class FullLineRefusal:
    """The early refusal of one frontend process."""

    def __init__(self, frontend: Frontend, proxy_secret: str | None = None) -> None:
        self._frontend = frontend
        self._secret = proxy_secret
        # Connections accepted but not yet read, with their teams and models.
        self._accepted: dict[socket.socket, tuple[str, Slot]] = {}

    def refuses(self, client: socket.socket) -> bool:
        """True if the connection was refused, with an answer, and may be closed."""
        if self._frontend.stopping or not self._frontend.counts_room:
            return False
        request = parse_plain(_arrived(client), self._secret)
        if request is None:
            return False
        model = self._frontend.models.named_by(model_in(request.path), request.body)
        if model is None:
            return False
        coming = sum(each == (request.team, model) for each in self._accepted.values())
        try:
            model.check_room(team=request.team, coming=coming)
        except Overloaded as full:
            self._frontend.metrics.answered(EARLY, full.status)
            self._frontend.metrics.refused(cause_of(full))
            answer_unread(client, _refusal(request, full))
            return True
        self._accepted[client] = request.team, model
        return False

    def stop_counting(self, client: socket.socket) -> None:
        """Stop counting a connection whose request is being read: its session counts instead."""
        self._accepted.pop(client, None)


def parse_plain(arrived: bytes, proxy_secret: str | None = None) -> PlainRequest | None:
    """Parse a complete, plain request for rows; None if these bytes are anything else."""
    head, _, body = arrived.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None or not needs_rows("POST", path := found[1].decode()):
        return None
    read = [field for text in fields if (field := _FIELD.fullmatch(text))]
    headers = {field[1].lower(): field[2].strip(b" \t") for field in read}
    if len(headers) < len(fields) or headers.keys() & _UNUSUAL or b"host" not in headers:
        return None
    if headers.get(b"content-length") != b"%d" % len(body) or is_stored(path, body):
        return None
    request_id = valid_or_fresh_id(headers.get(b"x-request-id", b"").decode("latin-1"))
    return PlainRequest(path, request_id, _team_of(headers, proxy_secret), body)


def _team_of(headers: Mapping[bytes, bytes], proxy_secret: str | None) -> str:
    """Return the caller's team, by the same rule as the application."""
    if proxy_secret is None:
        return ""
    claims = (_SECRET, _TEAM)
    relevant = Headers(
        [(name, headers.get(name.lower().encode(), b"").decode("latin-1")) for name in claims]
    )
    return caller_of(relevant, proxy_secret).team


def _arrived(client: socket.socket) -> bytes:
    """Peek at the bytes that have arrived; they can be read again."""
    client.setblocking(False)
    try:
        return client.recv(LOOK, socket.MSG_PEEK)
    except OSError:  # nothing has arrived yet, or the connection is broken
        return b""
    finally:
        client.setblocking(True)


def _refusal(request: PlainRequest, full: Overloaded) -> bytes:
    dialect, named = dialect_of(request.path, DIALECTS), request.request_id
    status, body = dialect.error(full.status, full, str(full), named)
    headers = [("Retry-After", full.retry_after), ("X-Request-ID", named)]
    if dialect.id_header:
        headers.append((dialect.id_header, named))
    return last_answer(status, json.dumps(body).encode(), *headers)
