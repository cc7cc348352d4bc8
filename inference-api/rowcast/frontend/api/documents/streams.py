"""OpenAPI operations of kept streams. Their content has the form of the original request."""

from rowcast.frontend.api.documents.replies import TIMEOUT
from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import (
    EVENTS,
    JSON,
    PLAIN,
    READ_ERRORS,
    Operation,
    Schema,
    event,
)

_ID: Schema = {"name": "stream", "in": "path", "required": True, "schema": {"type": "string"}}
_FROM: Schema = {
    "name": "from",
    "in": "query",
    "description": "The id of the last event received; without events, the number of bytes",
    "schema": {"type": "string"},
}
_LAST: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The same",
    "schema": {"type": "string"},
}

OPERATIONS = (
    Operation(
        method="get",
        path="/v1/streams/{stream}",
        tag="streams",
        summary="A stream, resumed from any position",
        answers={
            EVENTS: event({}, "[DONE]"),
            PLAIN: {"type": "string"},
            JSON: {"type": ["object", "array"]},
        },
        error=ERROR,
        errors=(400, 404, *READ_ERRORS, 409, 410, 503, 504),
        parameters=(_ID, _FROM, _LAST, TIMEOUT),
    ),
    Operation(
        method="delete",
        path="/v1/streams/{stream}",
        tag="streams",
        summary="A stream, cancelled and deleted",
        answers={},
        error=ERROR,
        errors=(404, *READ_ERRORS, 503),
        parameters=(_ID,),
        success=204,
    ),
)
