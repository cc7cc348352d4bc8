"""Errors in Anthropic's format: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

A full waiting line has the status 529, as there; `Dialect` has the rest.
"""

from typing import Any

import msgspec

from rowcast.errors import Overloaded
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
            },
        },
        "request_id": {"type": "string"},
    },
}


def error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error."""
    kind = _type_of(OVERLOADED if isinstance(error, Overloaded) else status)
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error inside an event stream."""
    return event_of(msgspec.json.encode(error_body(status, message, error)), event="error")


def _type_of(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
