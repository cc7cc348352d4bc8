"""Stored responses, found by their ids; each team finds its own only."""

import time

from rowcast.errors import StreamCancelled, UnknownResponse, UnknownStream
from rowcast.frontend.api.openai.responses.response.answer import PREFIX
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.journal.record import Record

PATHS = ("/v1/responses", "/responses")
SETTLING_SECONDS = 1.0  # in which a response that was just read to its end is stored as ended
_STEP_SECONDS = 0.02


def find(frontend: Frontend, request: Request, name: str, field: str = "") -> Record:
    """Return the record of a response. Raises UnknownResponse. `field`: the body's, with the id."""
    try:
        record = frontend.journal.find(name.removeprefix(PREFIX), request.caller.owner)
    except (UnknownStream, StreamCancelled) as unknown:
        raise _unknown(name, field) from unknown
    if not name.startswith(PREFIX) or record.path not in PATHS:
        raise _unknown(name, field)
    return record


def is_computed(frontend: Frontend, record: Record) -> bool:
    """True if another connection still computes the response after SETTLING_SECONDS."""
    until = time.monotonic() + SETTLING_SECONDS
    while record.state == "open" and frontend.journal.is_computed(record.id):
        if time.monotonic() > until:
            return True
        time.sleep(_STEP_SECONDS)
    return False


def _unknown(name: str, field: str) -> UnknownResponse:
    kind = "Previous response" if field else "Response"
    return UnknownResponse(
        f"{kind} with id {name[:80]!r} not found: it was not stored, or has expired",
        field,
    )
