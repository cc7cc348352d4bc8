"""Responses in the background: accepted at once, computed though nobody reads them.

    queued ─▶ in_progress ─▶ completed, incomplete, failed or cancelled

The result of the background request is the response object. `following.py` reads its events.
"""

from dataclasses import replace as with_field
from typing import Any

import msgspec
from msgspec.structs import replace

from rowcast.errors import UnknownRequest
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.responses.request.prepared import Read, read_record
from rowcast.frontend.api.openai.responses.response.answer import PREFIX, Facts, failed, response_of
from rowcast.frontend.api.openai.responses.response.types import ResponseObject
from rowcast.frontend.background.background import id_of
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.origin import key_of, seed_of
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.response import JSON, Response
from rowcast.frontend.response import whole as whole_body
from rowcast.journal.background.record import KEY_PREFIX, BackgroundRequest

KIND = "response"
PATH = "/v1/responses"
CANCELLED = "the response was cancelled"


def accept(frontend: Frontend, request: Request, read: Read) -> BackgroundRequest:
    """Queue a response. Refuses an unknown model now, not when it is computed."""
    frontend.models.find(read.body.model)
    return frontend.background.accept(
        request,
        kind=KIND,
        path=PATH,
        body=request.body.read(),
        named=_fresh_name(request),
        streamed=True,
    )


def find(frontend: Frontend, request: Request, name: str) -> BackgroundRequest | None:
    """Return a response in the background; None if the caller's team has none of this name."""
    if frontend.journal.client is None:
        return None
    try:
        return frontend.background.find(request.caller, KIND, name)
    except UnknownRequest:
        return None


def read_accepted(frontend: Frontend, request: Request) -> Read | None:
    """Read the body of a response in the background; None if the request is a line of a batch."""
    name = (key_of(request.headers) or "").removeprefix(KEY_PREFIX)
    accepted = find(frontend, request, name)
    if accepted is None:
        return None
    return with_field(read_record(request.body), accepted=accepted)


def shown(found: BackgroundRequest) -> Response:
    """Answer with a response as it is."""
    if found.phase == "finished":
        return whole_body(found.result, JSON)
    return json_answer(object_of(found))


def object_of(found: BackgroundRequest) -> ResponseObject:
    """Return the object of a response that has no result."""
    facts = Facts(name=found.id, created=found.created, seed=seed_of(found.team, found.key))
    begun = response_of(body_of(found).body, facts)
    if found.phase == "failed":
        return failed(begun, _problem(found.result))
    if found.phase == "running":
        return begun
    return replace(begun, status="cancelled" if found.phase == "cancelled" else "queued")


def body_of(found: BackgroundRequest) -> Read:
    """Return the body of a response in the background."""
    return read_record(Body(lambda: found.body))


def output_of(found: BackgroundRequest) -> list[Any]:
    """Return the items of a finished response's output."""
    items: list[Any] = msgspec.json.decode(found.result)["output"]
    return items


def _fresh_name(request: Request) -> str:
    """Return the id of a new response; with an idempotency key, always the same one."""
    return f"{PREFIX}{id_of(request.caller.owner, KIND, key_of(request.headers))}"


def _problem(result: bytes) -> str:
    """Return the message of an error's body."""
    body: dict[str, Any] = msgspec.json.decode(result)
    return str(body.get("error", body)["message"])
