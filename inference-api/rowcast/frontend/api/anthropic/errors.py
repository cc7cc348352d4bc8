"""Errors in Anthropic's format: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

A full waiting line has the status 529, as at Anthropic's; `Dialect` adds the `request_id`. An error
that a client handles by itself has `details` with an `error_code`.
"""

from typing import Any

import msgspec

from rowcast.errors import InvalidField, Overloaded
from rowcast.frontend.api.events import event_of

OVERLOADED = 529

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}


class ThreadRefused(InvalidField):
    """A body with `thread`, to store the conversation. Tool runners then send all of it."""

    def __init__(self) -> None:
        super().__init__("thread", "is not supported: no conversations are stored; send all of it")


ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {
                "type": {"enum": ["invalid_request_error", *_TYPES.values(), "api_error"]},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
        },
        "request_id": {"type": "string"},
    },
}


def error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error."""
    kind = _type_of(OVERLOADED if isinstance(error, Overloaded) else status)
    body: dict[str, object] = {"type": kind, "message": message}
    if isinstance(error, ThreadRefused):
        body["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return {"type": "error", "error": body}


def error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error inside an event stream."""
    return event_of(msgspec.json.encode(error_body(status, message, error)), event="error")


def _type_of(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
