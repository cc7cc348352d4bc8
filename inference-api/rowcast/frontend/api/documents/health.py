"""OpenAPI operations of health."""

from typing import Any

from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.operation import JSON, Operation


def _counts(description: str, *names: str) -> dict[str, Any]:
    """Return the schema of an object of whole numbers."""
    properties = {name: {"type": "integer"} for name in names}
    return {"type": "object", "description": description, "properties": properties}


REPORT: dict[str, Any] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"enum": ["ready", "not ready"]},
        "reason": {"type": "string"},
        "model": {"type": "string"},
        "fingerprint": {"type": "string"},
        "context_length": {"type": "integer"},
        "rows": {"type": "object"},
        "waiting": {"type": "integer"},
        "cache": _counts(
            "The memory of all rows: how many tokens it holds, how many of them the seated replies "
            "may use, and the bytes of one",
            *("committed_tokens", "tokens", "token_bytes"),
        ),
        "prefixes": _counts(
            "For administrators: prompt tokens that were looked up among computed prefixes, and "
            "found; what is stored beyond the rows: entries, bytes, maximum of bytes",
            *("looked_up", "found", "entries", "bytes", "limit"),
        ),
        "models": {
            "type": "object",
            "description": "The state of each model by its name, if there are several",
            "additionalProperties": {
                "type": "object",
                "required": ["state"],
                "properties": {
                    "state": {"enum": ["unloaded", "loading", "ready", "draining", "failed"]},
                    "stage": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
        "problem": {
            "type": "string",
            "description": "Why the last change of the file of models was refused",
        },
        "longest_pause_ms": {
            "type": "integer",
            "description": "The longest pause of this process's streams in the last minute",
        },
    },
}
ALIVE = {"type": "object", "properties": {"status": {"const": "alive"}}, "required": ["status"]}


def _readiness(path: str) -> Operation:
    return Operation(
        method="get",
        path=path,
        tag="health",
        summary="Whether a prompt would be answered now",
        answers={JSON: REPORT},
        error=NATIVE_ERROR,
        others={503: REPORT},
    )


OPERATIONS = (
    Operation(
        method="get",
        path="/liveness",
        tag="health",
        summary="Whether the process answers",
        answers={JSON: ALIVE},
        error=NATIVE_ERROR,
    ),
    *map(_readiness, ("/readiness", "/health", "/health_check")),
)
