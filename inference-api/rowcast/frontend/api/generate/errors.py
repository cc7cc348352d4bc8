"""Errors of `/generate`, with the keys of all systems whose programs read them.

status_code, message     the native dialect's
detail                   of services made with FastAPI, as FlexFlow's and vLLM's first one were
error, error_type        TGI's
"""

from typing import Any

import msgspec

from rowcast.errors import (
    DeadlinePassed,
    Overloaded,
    RequestError,
    RowcastError,
    Unavailable,
)
from rowcast.frontend.api.events import event_of

TGI_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {
        "error": {"type": "string", "description": "What to change"},
        "error_type": {"enum": ["validation", "overloaded", "generation", "incomplete_generation"]},
    },
}
PROMPT_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["status_code", "message", "detail", *TGI_ERROR["required"]],
    "properties": {
        "status_code": {"type": "integer", "description": "The HTTP status"},
        "message": {"type": "string", "description": "What to change"},
        "detail": {"type": "string", "description": "The same"},
        **TGI_ERROR["properties"],
    },
}


def error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error."""
    return {
        "status_code": status,
        "message": message,
        "detail": message,
        **tgi_error_body(status, message, error),
    }


def tgi_error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error in TGI's form."""
    return {"error": message, "error_type": _type_of(status, error)}


def tgi_error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error inside a stream of TGI's events."""
    return event_of(msgspec.json.encode(tgi_error_body(status, message, error)))


def _type_of(status: int, error: Exception | None) -> str:
    """Return TGI's name for a kind of error."""
    if isinstance(error, RequestError) or status < 500:
        return "validation"
    if isinstance(error, Overloaded):
        return "overloaded"
    if isinstance(error, Unavailable | DeadlinePassed) or not isinstance(error, RowcastError):
        return "incomplete_generation"
    return "generation"
