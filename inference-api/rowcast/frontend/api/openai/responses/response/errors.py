"""The last event of a stream of /v1/responses whose request is refused after its headers.

Other errors have OpenAI's common form.
"""

import msgspec

from rowcast.frontend.api.events import event_of
from rowcast.frontend.api.openai.errors import fault
from rowcast.frontend.api.openai.responses.response.events import ErrorEvent


def error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error before the first event of a response, encoded."""
    event = error_of(status, message, error)
    return event_of(msgspec.json.encode(event), event=event.name)


def error_of(status: int, message: str, error: Exception | None) -> ErrorEvent:
    """Return the event of an error."""
    described = fault(status, message, error)
    return ErrorEvent(message=message, code=described["code"], param=described["param"])
