"""How a dialect describes its routes for the API documents.

Types are msgspec structures, from which JSON schemas are generated, or ready schemas. `errors` are
the statuses with which the route may refuse, in the form of its dialect. What all routes that
compute a reply have in common (headers, links to the kept stream) is in `documents/replies.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
Described = type | tuple[type, ...] | Schema  # a tuple: any of them

JSON = "application/json"
EVENTS = "text/event-stream"
PLAIN = "text/plain"

COMPONENT = "#/components/schemas/{name}"

READ_ERRORS = (403, 405, 431, 500, 502, 503)
BODY_ERRORS = (400, 403, 404, 405, 408, 413, 414, 415, 417, 431, 500, 502, 503)
REPLY_ERRORS = tuple(sorted((*BODY_ERRORS, 409, 410, 504)))


def reference(kind: type) -> Schema:
    """Return a reference to the schema of a type."""
    return {"$ref": COMPONENT.format(name=kind.__name__)}


def event(data: Schema, last: str = "") -> Schema:
    """Return the schema of an event whose data is a string of JSON, or `last` at the end."""
    named: Schema = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
    if last:
        named = {"anyOf": [{"const": last}, named]}
    return {
        "type": "object",
        "description": "One event of the stream",
        "required": ["data"],
        "properties": {"data": named, "event": {"type": "string"}, "id": {"type": "string"}},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path."""

    method: str
    path: str
    tag: str
    summary: str
    answers: Mapping[str, Described]  # by content type
    error: Described
    body: Described | None = None
    example: Mapping[str, Any] | None = None
    errors: tuple[int, ...] = READ_ERRORS
    others: Mapping[int, Described] = field(default_factory=dict)  # by status
    named: tuple[type, ...] = ()  # schemas refer to these by name
    stands_for_model: bool = False  # `{model}` in the path is a served model
    parameters: tuple[Schema, ...] = ()  # more of them: path, query or headers
    success: int = 200
    replies: bool = False  # computes a reply: kept, idempotent by key, limited in time

    @property
    def id(self) -> str:
        """The operation's name in generated clients."""
        words = self.path.replace("{", "").replace("}", "").replace("/", "_").lstrip("_")
        return f"{self.method}_{words or 'index'}"
