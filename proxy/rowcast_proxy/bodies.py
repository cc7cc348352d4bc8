"""The body of a request: all of it, or a refusal that says why.

gunicorn hands a body cut short to the application as if it were whole, and waits for ever for a
slow one; both are refused here, and so is one that is too long, announced or not.
"""

from typing import Any, Protocol

import gevent
from gunicorn.http.errors import ParseException

from rowcast_proxy.errors import BadRequest, BodyTooLarge, BodyTooSlow
from rowcast_proxy.inbound import InboundRequest, WSGIEnviron


class _Input(Protocol):
    def read(self, size: int) -> bytes: ...


def read_body(request: InboundRequest, *, limit: int, timeout_s: float) -> bytes:
    if not request.body_pending:
        return b""
    announced = _announced_length(request.environ)
    if announced is not None and announced > limit:
        raise _too_large(limit)
    try:
        with gevent.Timeout(timeout_s, BodyTooSlow("The body did not arrive in time.")):
            body = _read(request.environ["wsgi.input"], announced, limit)
    except (ParseException, OSError):
        raise BadRequest("The body is not properly chunked, or was cut short.") from None
    request.body_pending = False
    return body


def _read(stream: _Input, announced: int | None, limit: int) -> bytes:
    if announced is not None:
        body = stream.read(announced)
        if len(body) < announced:
            raise BadRequest(f"The body has {len(body)} bytes, Content-Length says {announced}.")
        return body
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _announced_length(environ: WSGIEnviron) -> int | None:
    length: Any = environ.get("CONTENT_LENGTH")
    return int(length) if length else None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes.")
