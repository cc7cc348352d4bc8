"""POST /v1/responses, and POST /v1/responses/input_tokens."""

from dataclasses import replace

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.responses.chain import continued
from rowcast.frontend.api.openai.responses.prepared import (
    Read,
    input_tokens,
    prepare,
    read_record,
)
from rowcast.frontend.api.openai.responses.reading import read_body
from rowcast.frontend.api.openai.responses.types import InputTokens
from rowcast.frontend.api.openai.responses.view import stream, whole
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response


def create(frontend: Frontend, request: Request) -> Response:
    """Answer one request, new or recorded."""
    request, read = _read(frontend, request)
    events = bool(read.body.stream)
    prepared = prepare(frontend, request, read, events=events)
    if events:
        return stream(prepared, request.start, frontend.settings.comment_seconds)
    return whole(prepared)


def count(frontend: Frontend, request: Request) -> Response:
    """Answer with the number of tokens that a request's input has."""
    request, read = _read(frontend, request)
    return json_answer(InputTokens(input_tokens(frontend, request, read)))


def _read(frontend: Frontend, request: Request) -> tuple[Request, Read]:
    """Return the request as it is recorded, and its body."""
    if request.record is not None:
        return request, read_record(request.body)
    sent = request.body.json(plain=True)
    body = read_body(sent)
    if body.background:
        raise InvalidField("background", "is not supported")
    request, read = continued(frontend, request, sent, body)
    return request if body.stored else _unstored(request), read


def _unstored(request: Request) -> Request:
    """Return the request so that nothing of it is stored."""
    return replace(request, caller=replace(request.caller, keeps=False))
