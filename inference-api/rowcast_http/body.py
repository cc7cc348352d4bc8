"""Reads a request's body: returns all of it, or refuses it with the reason.

gunicorn passes a truncated body to the application as if it were whole, and waits forever for a
slow one; both are refused here, as is a body that is too long, with or without a Content-Length.
The bytes are charged to a share of the process's budget as they arrive, until the share is
released. `BodyErrors` is how a program words the refusals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
from gunicorn.http.errors import ParseException

from rowcast_http.budget import Share

_STEP = 1 << 16


class Readable(Protocol):
    """A body as gunicorn provides it."""

    def read(self, size: int, /) -> bytes: ...


class BodyErrors(Protocol):
    """The exceptions with which a program refuses a body."""

    def too_large(self, limit: int, announced: int | None) -> Exception:
        """`announced`: the body's Content-Length, if that is the reason."""

    def too_slow(self, seconds: float) -> Exception: ...

    def cut_short(self, received: int, announced: int) -> Exception: ...

    def broken(self) -> Exception:
        """The chunked encoding is invalid, or the connection ended inside it."""

    def no_room(self) -> Exception:
        """The budget has no room for more bytes."""


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads bodies of at most `limit` bytes, each within `seconds`."""

    limit: int
    seconds: float
    errors: BodyErrors

    def read(self, stream: Readable, announced: int | None, share: Share | None) -> bytearray:
        """Return the body. `announced`: its Content-Length; None if it is chunked."""
        if announced is not None and announced > self.limit:
            raise self.errors.too_large(self.limit, announced)
        with gevent.Timeout(self.seconds, self.errors.too_slow(self.seconds)):
            try:
                body = self._fill(stream, announced, share)
            except (ParseException, OSError) as error:
                raise self.errors.broken() from error
        if announced is not None and len(body) < announced:
            raise self.errors.cut_short(len(body), announced)
        if len(body) > self.limit:
            raise self.errors.too_large(self.limit, None)
        return body

    def _fill(self, stream: Readable, announced: int | None, share: Share | None) -> bytearray:
        """Read up to the announced length, or one byte beyond the limit."""
        body, most = bytearray(), self.limit + 1 if announced is None else announced
        while piece := stream.read(min(_STEP, most - len(body))):
            if share is not None and not share.take(len(piece)):
                raise self.errors.no_room()
            body += piece
        return body


class HeldBody:
    """A request's body as the application receives it, with the share that its bytes count in."""

    def __init__(self, body: Any, share: Share, end_connection: Callable[[], None]) -> None:
        self._body = body
        self.share = share  # the application sets its team
        self.end_connection = end_connection  # call it to close the connection after the answer

    @property
    def failed(self) -> bool:
        """Required by gunicorn's parser."""
        return bool(self._body.failed)

    def read(self, size: int | None = None) -> bytes:
        data: bytes = self._body.read(size)
        return data
