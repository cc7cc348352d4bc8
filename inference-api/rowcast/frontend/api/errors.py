"""The plain form of errors, of the native dialect and wherever no dialect has its own."""

from typing import Any

from rowcast.frontend.api.events import server_sent

INTERNAL_ERROR = "Internal server error; see the server's log for this request's id"
NATIVE_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["status_code", "message"],
    "properties": {
        "status_code": {"type": "integer", "description": "The HTTP status"},
        "message": {"type": "string", "description": "What to change"},
    },
}


def error_body(
    status: int,
    message: str,
    error: Exception | None = None,  # noqa: ARG001
) -> dict[str, object]:
    """Return the body of an error."""
    return {"status_code": status, "message": message}


def error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error inside an event stream."""
    return server_sent(error_body(status, message, error), event="error")
