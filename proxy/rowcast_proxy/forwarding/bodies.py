"""Reading a request's body: return all of it, or refuse it with the reason.

gunicorn passes a truncated body to the application as if it were whole, and waits forever for a
slow one; both are refused here, as is a body that is too long, with or without a Content-Length.
The bytes received count against the process's budget until `Body.release`.
"""

from typing import Any, Final, Protocol

import gevent
from gunicorn.http.errors import ParseException

from rowcast_proxy.errors import BadRequest, BodyTooLarge, BodyTooSlow, Unavailable
from rowcast_proxy.forwarding.inbound import InboundRequest, WSGIEnviron
from rowcast_proxy.listening.budget import Budget, Share

_STEP: Final = 1 << 16


class _Input(Protocol):
    def read(self, size: int) -> bytes: ...


class Body:
    """The bytes of a body, held until `release`."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self.data = bytearray()

    def add(self, piece: bytes) -> None:
        """Append a piece. Raises Unavailable if the bodies in flight leave no room."""
        if not self._share.take(len(piece)):
            raise Unavailable(
                "The proxy holds as many bytes of request bodies as it may (PROXY_BODIES_LIMIT, of "
                "which one team gets half). Send fewer large requests at once, or try again."
            )
        self.data += piece

    def release(self) -> None:
        self.data = bytearray()
        self._share.release()


class BodyReader:
    def __init__(self, *, limit: int, timeout_s: float, budget: Budget) -> None:
        self._limit = limit
        self._timeout_s = timeout_s
        self._budget = budget

    def read(self, request: InboundRequest) -> Body:
        """Read the body of a request whose token is verified."""
        body = Body(self._budget.share(request.team or ""))
        if not request.body_pending:
            return body
        announced = _announced_length(request.environ)
        if announced is not None and announced > self._limit:
            raise self._too_large()
        try:
            with gevent.Timeout(self._timeout_s, BodyTooSlow("The body did not arrive in time.")):
                self._fill(body, request.environ["wsgi.input"], announced)
        except (ParseException, OSError):
            body.release()
            raise BadRequest("The body is not properly chunked, or was cut short.") from None
        except BaseException:
            body.release()
            raise
        request.body_pending = False
        return body

    def _fill(self, body: Body, stream: _Input, announced: int | None) -> None:
        wanted = self._limit + 1 if announced is None else announced
        while len(body.data) < wanted:
            piece = stream.read(min(_STEP, wanted - len(body.data)))
            if not piece:
                break
            body.add(piece)
        if announced is not None and len(body.data) < announced:
            raise BadRequest(
                f"The body has {len(body.data)} bytes, Content-Length says {announced}."
            )
        if len(body.data) > self._limit:
            raise self._too_large()

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is larger than {self._limit} bytes.")


def _announced_length(environ: WSGIEnviron) -> int | None:
    length: Any = environ.get("CONTENT_LENGTH")
    return int(length) if length else None
