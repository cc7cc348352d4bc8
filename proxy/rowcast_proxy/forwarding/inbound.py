"""One request as the proxy sees it: method and path, caller, and outcome.

In: a WSGI environ. Out: the facts that the steps need, and one line in the log at the end, which
never contains the token or the body.
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from gevent import socket

from rowcast_http.body import HeldBody
from rowcast_proxy.errors import BadRequest
from rowcast_proxy.routes import Route, match
from rowcast_telemetry.log_lines import Fields
from rowcast_telemetry.spans import Span, Tracer

WSGIEnviron = dict[str, Any]

DRAINING: Final = "rowcast_proxy.draining"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/<>:-]+")

_log = logging.getLogger(__name__)


class InboundRequest:
    def __init__(self, environ: WSGIEnviron) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.client: socket.socket = environ["gunicorn.socket"]
        self.speaks_1_1 = environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        self.draining: bool = environ.get(DRAINING, False)
        self.crowded: str = getattr(self.client, "crowded", "")  # why only health is answered
        self.cors: list[tuple[str, str]] = []  # headers that every answer carries
        self.input: HeldBody = environ["wsgi.input"]
        self.body = bytearray()
        self.body_pending = _has_body(environ)
        self.route: Route | None = None
        self.path = ""
        self.team: str | None = None
        self.status = 0
        self.bytes_sent = 0
        self.reason = "done"
        self.on_end: Callable[[InboundRequest], None] = lambda _: None
        self.span: Span | None = None  # None: it is not traced
        self._began = time.monotonic()

    def check(self) -> None:
        """Refuse what HTTP forbids but gunicorn accepts."""
        self._check_host()
        self._check_coding()

    def find_route(self) -> Route:
        """Find the route; its path is what goes upstream. Raises NotFound and MethodNotAllowed."""
        matched = match(self.method, self.environ["RAW_URI"])
        self.route, self.path = matched.route, matched.path
        return matched.route

    @property
    def target(self) -> str:
        query = self.environ.get("QUERY_STRING", "")
        return f"{self.path}?{query}" if query else self.path

    def end_connection(self) -> None:
        """Close the connection after this response, even if the client has sent more."""
        self.input.end_connection()

    def set_team(self, team: str) -> None:
        """Set the verified team; the body's bytes count in its share."""
        self.team = self.input.share.team = team

    def release_body(self) -> None:
        """Release the body's bytes."""
        self.body.clear()
        self.input.share.release()

    def trace(self, tracer: Tracer) -> None:
        """Begin the request's span, in its client's trace; `end` ends it."""
        route = self.route.path if self.route else ""
        self.span = tracer.begin(f"{self.method} {route}", self.environ.get("HTTP_TRACEPARENT"))
        self.span["http.request.method"] = self.method
        self.span["http.route"] = route
        self.span["rowcast.request_id"] = self.id

    def end(self) -> None:
        """Count the end, log it, and end the request's span."""
        self.on_end(self)
        self._log_end()
        if self.span is not None:
            self.span["http.response.status_code"] = self.status
            self.span["rowcast.reason"] = self.reason
            if self.status >= 500 or self.reason.startswith("upstream"):
                self.span["error.type"] = self.span.error = self.reason
            self.span.end()

    def _log_end(self) -> None:
        fields = _RequestFields(
            id=self.id,
            team=self.team,
            method=self.method,
            route=self.route.path if self.route else None,
            status=self.status,
            ms=(time.monotonic() - self._began) * 1000,
            bytes=self.bytes_sent,
            reason=self.reason,
        )
        if self.span is not None:
            fields["trace"] = self.span.context.trace
        _log.info("request %s", fields)

    def _check_host(self) -> None:
        host = self.environ.get("HTTP_HOST")
        if host is None and self.speaks_1_1:
            raise BadRequest("The Host header is missing.")
        if host is not None and not _HOST.fullmatch(host):
            raise BadRequest("The Host header is malformed.")

    def _check_coding(self) -> None:
        """Refuse other codings before chunked: gunicorn accepts them, but does not decode them."""
        if self.environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
            raise BadRequest("The only transfer coding supported is chunked.")


def _request_id(sent: str | None) -> str:
    return sent if sent and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _has_body(environ: WSGIEnviron) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    return "HTTP_TRANSFER_ENCODING" in environ or length.strip("0") != ""


class _RequestFields(Fields):
    """The fields of a request's line, whose texts are quoted as in JSON."""

    def shown(self, value: object) -> str:
        if not isinstance(value, str):
            return super().shown(value)
        return value if _PLAIN.fullmatch(value) else json.dumps(value)
