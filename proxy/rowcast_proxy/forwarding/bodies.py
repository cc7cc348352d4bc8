"""The body of a request whose token is verified, and how the proxy words its refusals.

`rowcast_http.body` reads it: whole, within size and time, charged to the team's share.
"""

from typing import Any

from rowcast_http.body import BodyReader
from rowcast_proxy.errors import BadRequest, BodyTooLarge, BodyTooSlow, Unavailable
from rowcast_proxy.forwarding.inbound import InboundRequest, WSGIEnviron


class BodyErrors:
    def too_large(self, limit: int, announced: int | None) -> Exception:  # noqa: ARG002
        return BodyTooLarge(f"The body is larger than {limit} bytes.")

    def too_slow(self, seconds: float) -> Exception:  # noqa: ARG002
        return BodyTooSlow("The body did not arrive in time.")

    def cut_short(self, received: int, announced: int) -> Exception:
        return BadRequest(
            f"The body ended after {received} bytes; its Content-Length is {announced}."
        )

    def broken(self) -> Exception:
        return BadRequest("The body's chunked encoding is broken, or ends early.")

    def no_room(self) -> Exception:
        return Unavailable(
            "The proxy holds the maximum number of bytes of request bodies (PROXY_BODIES_LIMIT, of "
            "which one team gets half). Send fewer large requests at once, or try again later."
        )


def read_body(request: InboundRequest, reader: BodyReader) -> None:
    """Read the body into the request. Raises Refusal."""
    if not request.body_pending:
        return
    announced = _announced_length(request.environ)
    request.body = reader.read(request.input, announced, request.input.share)
    request.body_pending = False


def _announced_length(environ: WSGIEnviron) -> int | None:
    length: Any = environ.get("CONTENT_LENGTH")
    return int(length) if length else None
