"""Errors of `/generate`, with the keys that programs of all its systems read.

status_code, message     the native dialect's
detail                   FastAPI's, and so FlexFlow's and that of vLLM's first server
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
from rowcast.frontend.api import errors
from rowcast.frontend.api.errors import NATIVE_ERROR
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
    "required": [*NATIVE_ERROR["required"], "detail", *TGI_ERROR["required"]],
    "properties": {
        **NATIVE_ERROR["properties"],
        "detail": {"type": "string", "description": "The same"},
        **TGI_ERROR["properties"],
    },
}


def error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error."""
    return {
        **errors.error_body(status, message, error),
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
