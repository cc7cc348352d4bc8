"""Kept streams: read again from any position, or cancelled.

    GET    /v1/streams/<id>     the stream in its original form
    DELETE /v1/streams/<id>     204; the stream is deleted, and its computation stops

A reader gives its position as `Last-Event-ID`, the id of the last event that it has, or as
`?from=`: the same, or for a body without events the number of bytes that it has. The recorded
request goes through the same function as the first time: no dialect has code for this.
"""

import re
from collections.abc import Iterable
from functools import partial

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.streams import OPERATIONS
from rowcast.frontend.api.openai.errors import error_body, error_event
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response


def routes(api: Api) -> Iterable[Route]:
    """Return the routes."""
    path = "/v1/streams/<stream>"
    return Route("GET", path, partial(resume, api)), Route("DELETE", path, cancel)


def resume(api: Api, frontend: Frontend, request: Request) -> Response:
    """Answer with the rest of a stream, from the reader's position on."""
    record = frontend.journal.find(request.names["stream"], request.caller.owner)
    if request.method == "HEAD":
        return Response()
    start = request.query.get("from", request.headers.get("Last-Event-ID", ""))
    return api.answer(request.again(record, start))


def cancel(frontend: Frontend, request: Request) -> Response:
    """End a stream, and keep nothing of it."""
    frontend.journal.cancel(request.names["stream"], request.caller.owner)
    return Response(status=204)


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=("/v1/streams/",),
    again=re.compile("/v1/streams/"),
)
