"""`previous_response_id`: a request that continues a stored response.

    items before     what the previous request had before its own input
                     its input
                     its output                     then the request's own input

They are added to the body that is recorded, so each stored response holds its whole conversation:
one record is read, however long the chain is, and any response of it may be deleted.
"""

from dataclasses import replace
from typing import Any

import msgspec

from rowcast.errors import BodyTooLarge, InvalidField
from rowcast.frontend.api.openai.responses.request.body import ResponseBody
from rowcast.frontend.api.openai.responses.request.items import InputItem
from rowcast.frontend.api.openai.responses.request.prepared import (
    Read,
    prepare,
    read_record,
    with_before,
)
from rowcast.frontend.api.openai.responses.response.view import whole_object
from rowcast.frontend.api.openai.responses.stored import background
from rowcast.frontend.api.openai.responses.stored.records import find, is_computed
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.journal.background.record import BackgroundRequest

FIELD = "previous_response_id"
_END = {"failed": "failed", "cancelled": "was cancelled"}
MOST_ITEMS = 10_000  # of a conversation


def continued(
    frontend: Frontend, request: Request, sent: dict[str, Any], body: ResponseBody
) -> tuple[Request, Read]:
    """Return the request with the items before its own, as it is recorded, and read."""
    if body.previous_response_id is None:
        return request, Read(body)
    before = _items_of(frontend, request, body.previous_response_id)
    if len(before) > MOST_ITEMS:
        raise InvalidField(
            FIELD,
            f"continues {len(before)} items; the limit is {MOST_ITEMS}: start a new conversation",
        )
    complete = with_before(sent, msgspec.to_builtins(before))
    limit = frontend.settings.body_bytes
    if len(complete) > limit:
        raise BodyTooLarge(
            f"with the conversation before it, the body has {len(complete)} bytes; the limit is "
            f"{limit}: start a new conversation"
        )
    return replace(request, body=request.body.instead(complete)), Read(body, before)


def _items_of(frontend: Frontend, request: Request, name: str) -> list[InputItem]:
    """Return all items of a stored response, its output last. Raises RequestError."""
    accepted = background.find(frontend, request, name)
    if accepted is not None:
        return _items_of_background(accepted)
    record = find(frontend, request, name, FIELD)
    if is_computed(frontend, record):
        raise _unended()
    again = replace(request.again(record, ""), response_headers={})
    read = read_record(again.body)
    response = whole_object(prepare(frontend, again, read))
    return [*read.items, *_as_input(msgspec.to_builtins(response.output))]


def _items_of_background(accepted: BackgroundRequest) -> list[InputItem]:
    if not accepted.has_ended:
        raise _unended()
    if accepted.phase != "finished":
        raise InvalidField(FIELD, f"names a response that has no output: it {_END[accepted.phase]}")
    return [*background.body_of(accepted).items, *_as_input(background.output_of(accepted))]


def _unended() -> InvalidField:
    return InvalidField(FIELD, "is still being computed; continue it once it has ended")


def _as_input(output: list[Any]) -> list[InputItem]:
    return msgspec.convert(output, list[InputItem])
