"""Bodies with `inputs`, answered as Text Generation Inference (TGI) did.

    generate          one object: generated_text, and details on request
    generate_listed   the same in a list, as TGI answered at its root; both stream on request
    generate_stream   an event for each token; the last one has the whole text
    info              the model and the limits of requests

`request` parses a body, `tokens` describes tokens in TGI's form, `stream` and `whole` answer with
the replies.
"""

from typing import Any

from rowcast.errors import MalformedRequest
from rowcast.frontend.api.events import EVENT_STREAM, SEED_HEADER, streamed
from rowcast.frontend.api.generate.errors import tgi_error_body as error_body
from rowcast.frontend.api.generate.errors import tgi_error_event as error_event
from rowcast.frontend.api.generate.tgi.info import info
from rowcast.frontend.api.generate.tgi.request import Wanted, wanted_of
from rowcast.frontend.api.generate.tgi.stream import events
from rowcast.frontend.api.generate.tgi.whole import answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.positions import Cursor, Position
from rowcast.frontend.request.body import parse_object
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

__all__ = [
    "INPUTS",
    "error_body",
    "error_event",
    "generate",
    "generate_listed",
    "generate_stream",
    "has_inputs",
    "info",
    "may_have_inputs",
]

INPUTS = "inputs"
_NAME = b'"inputs"'


def may_have_inputs(body: bytes) -> bool:
    """False if a body certainly has no `inputs`; a quick check."""
    return _NAME in body


def has_inputs(body: bytes) -> bool:
    """True if a body has `inputs`."""
    try:
        return may_have_inputs(body) and INPUTS in parse_object(body)
    except MalformedRequest:
        return False


def generate(frontend: Frontend, request: Request, sent: dict[str, Any]) -> Response:
    """Answer at /generate."""
    wanted = wanted_of(frontend, request, sent)
    return _streamed(frontend, request, wanted) if wanted.stream else _whole(request, wanted)


def generate_listed(frontend: Frontend, request: Request, sent: dict[str, Any]) -> Response:
    """Answer at the root."""
    wanted = wanted_of(frontend, request, sent)
    if wanted.stream:
        return _streamed(frontend, request, wanted)
    return _whole(request, wanted, listed=True)


def generate_stream(frontend: Frontend, request: Request) -> Response:
    """Answer with events, whatever `stream` says."""
    sent = request.body.json(plain=True)
    return _streamed(frontend, request, wanted_of(frontend, request, sent, stream=True))


def _streamed(frontend: Frontend, request: Request, wanted: Wanted) -> Response:
    start = Position.read(wanted.origin.start, 1)
    reply = wanted.served.open_all(request, wanted.origin, [wanted.prompt], start)
    chunks = events(wanted, reply, Cursor(start), frontend.settings.comment_seconds)
    return streamed(reply, chunks, EVENT_STREAM, wanted.prompt.seed)


def _whole(request: Request, wanted: Wanted, *, listed: bool = False) -> Response:
    replies = wanted.served.open_all(request, wanted.origin, [wanted.prompt])
    response = answer(wanted, replies, listed=listed)
    return response.with_headers({SEED_HEADER: str(wanted.prompt.seed)})
