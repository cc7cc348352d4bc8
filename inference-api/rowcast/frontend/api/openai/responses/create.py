"""POST /v1/responses, and POST /v1/responses/input_tokens."""

from dataclasses import replace

from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.responses.request.prepared import (
    Read,
    input_tokens,
    prepare,
    read_record,
)
from rowcast.frontend.api.openai.responses.request.reading import read_body
from rowcast.frontend.api.openai.responses.response.types import InputTokens
from rowcast.frontend.api.openai.responses.response.view import stream, whole
from rowcast.frontend.api.openai.responses.stored.background import accept, read_accepted, shown
from rowcast.frontend.api.openai.responses.stored.chain import continued
from rowcast.frontend.api.openai.responses.stored.following import follow
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response


def create(frontend: Frontend, request: Request) -> Response:
    """Answer one request: new, recorded, or computed in the background."""
    request, read = _read(frontend, request)
    silence, events = frontend.settings.comment_seconds, bool(read.body.stream)
    if read.body.background and not request.background and request.record is None:
        accepted = accept(frontend, request, read)
        return follow(frontend, request, accepted, "") if events else shown(accepted)
    events = events and not request.background
    prepared = prepare(frontend, request, read, events=events)
    return stream(prepared, request.start, silence) if events else whole(prepared)


def count(frontend: Frontend, request: Request) -> Response:
    """Answer with the number of tokens that a request's input has."""
    request, read = _read(frontend, request)
    return json_answer(InputTokens(input_tokens(frontend, request, read)))


def _read(frontend: Frontend, request: Request) -> tuple[Request, Read]:
    """Return the request as it is recorded, and its body. A line of a batch is new."""
    if request.background and (accepted := read_accepted(frontend, request)):
        return request, accepted
    if request.record is not None:
        return request, read_record(request.body)
    sent = request.body.json(plain=True)
    body = read_body(sent)
    request, read = continued(frontend, request, sent, body)
    return request if body.stored or request.background else _unstored(request), read


def _unstored(request: Request) -> Request:
    """Return the request so that nothing of it is stored."""
    return replace(request, caller=replace(request.caller, keeps=False))
