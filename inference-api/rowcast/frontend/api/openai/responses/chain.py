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
from rowcast.frontend.api.openai.responses.body import ResponseBody
from rowcast.frontend.api.openai.responses.items import InputItem
from rowcast.frontend.api.openai.responses.prepared import (
    Read,
    prepare,
    read_record,
    with_before,
)
from rowcast.frontend.api.openai.responses.records import find, is_computed
from rowcast.frontend.api.openai.responses.view import whole_object
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request

FIELD = "previous_response_id"
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
            FIELD, f"has {len(before)} items before it; the limit is {MOST_ITEMS}: begin anew"
        )
    complete = with_before(sent, msgspec.to_builtins(before))
    limit = frontend.settings.body_bytes
    if len(complete) > limit:
        raise BodyTooLarge(
            f"with the conversation before it, the body has {len(complete)} bytes; the limit is "
            f"{limit}: begin anew"
        )
    return replace(request, body=request.body.instead(complete)), Read(body, before)


def _items_of(frontend: Frontend, request: Request, name: str) -> list[InputItem]:
    """Return all items of a stored response, its output last. Raises RequestError."""
    record = find(frontend, request, name, FIELD)
    if is_computed(frontend, record):
        raise InvalidField(FIELD, "is still being computed; continue it once it has ended")
    again = replace(request.again(record, ""), response_headers={})
    read = read_record(again.body)
    response = whole_object(prepare(frontend, again, read))
    output = msgspec.convert(msgspec.to_builtins(response.output), list[InputItem])
    return [*read.items, *output]
