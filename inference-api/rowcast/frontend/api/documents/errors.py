"""The form of errors outside the dialects that have their own."""

from typing import Any

NATIVE_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["status_code", "message"],
    "properties": {
        "status_code": {"type": "integer", "description": "The HTTP status"},
        "message": {"type": "string", "description": "What to change"},
    },
}
