"""Stored responses: read again, whole or from any event; deleted; cancelled; their input listed.

What is stored of a reply is read. If its client or its server went away before its end, the rest is
computed when it is read.
"""

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.responses.request.prepared import prepare, read_record
from rowcast.frontend.api.openai.responses.response.answer import Facts, response_of
from rowcast.frontend.api.openai.responses.response.types import DeletedResponse, ResponseObject
from rowcast.frontend.api.openai.responses.response.view import number, stream, whole
from rowcast.frontend.api.openai.responses.stored import background
from rowcast.frontend.api.openai.responses.stored.background import KIND, shown
from rowcast.frontend.api.openai.responses.stored.following import follow
from rowcast.frontend.api.openai.responses.stored.listing import listed
from rowcast.frontend.api.openai.responses.stored.records import find, is_computed
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.fields import Fields
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.journal.record import Record

_QUERY = ("stream", "starting_after", "include", "include[]", "include_obfuscation")


def retrieve(frontend: Frontend, request: Request) -> Response:
    """Answer with a response, or with its events after the one numbered `starting_after`."""
    query = Fields(request.query, _QUERY, lenient=True)
    events = query.flag("stream", False)
    start = query.text("starting_after")
    if start == "":
        raise InvalidField("starting_after", "is empty; send the sequence_number of an event")
    number(start or "")  # refused even if no events are requested
    start = request.headers.get("Last-Event-ID", "") if start is None else start
    name = request.names["response"]
    accepted = background.find(frontend, request, name)
    found = accepted or find(frontend, request, name)
    if request.method == "HEAD":
        return Response()
    if isinstance(found, Record):
        return _retrieved(frontend, request, found, start, events=events)
    return follow(frontend, request, found, start) if events else shown(found)


def _retrieved(
    frontend: Frontend, request: Request, record: Record, start: str, *, events: bool
) -> Response:
    """Answer with a response that is not in the background."""
    if not events and is_computed(frontend, record):
        return json_answer(_begun(frontend, request, record))
    again = request.again(record, "")
    prepared = prepare(frontend, again, read_record(again.body), events=events)
    return stream(prepared, start, frontend.settings.comment_seconds) if events else whole(prepared)


def delete(frontend: Frontend, request: Request) -> Response:
    """Delete a response and all that is stored of it."""
    name = request.names["response"]
    if background.find(frontend, request, name) is not None:
        frontend.background.delete(request.caller, KIND, name)
    else:
        record = find(frontend, request, name)
        frontend.journal.cancel(record.id, request.caller.owner)
    return json_answer(DeletedResponse(name))


def cancel(frontend: Frontend, request: Request) -> Response:
    """Cancel a response in the background; one that has ended stays as it is."""
    name = request.names["response"]
    if background.find(frontend, request, name) is not None:
        return shown(frontend.background.cancel(request.caller, KIND, name))
    find(frontend, request, name)
    raise InvalidField(
        "response_id", "names a response that was not created with background: close its stream"
    )


def input_items(frontend: Frontend, request: Request) -> Response:
    """Answer with a page of the items of a response's input, and of the conversation before it."""
    name = request.names["response"]
    accepted = background.find(frontend, request, name)
    content = accepted.body if accepted else find(frontend, request, name).body
    items = read_record(request.body.instead(content)).items
    return json_answer(listed(name, items, request.query))


def _begun(frontend: Frontend, request: Request, record: Record) -> ResponseObject:
    """Return a response that is being computed; what it has so far is in its events."""
    body = read_record(request.body.instead(record.body)).body
    served = frontend.models.find(body.model).served
    fingerprint = record.build.partition("/")[0]
    defaults = served.defaults if served else None
    return response_of(body, Facts.of(Origin.recorded(record), None, fingerprint, defaults))
