"""OpenAPI operations of /v1/responses, from the types that it parses and returns."""

from collections.abc import Mapping
from dataclasses import replace

from rowcast.frontend.api.openai.openapi import ERROR, computing, post
from rowcast.frontend.api.openai.responses.request.body import ResponseBody
from rowcast.frontend.api.openai.responses.response import events
from rowcast.frontend.api.openai.responses.response.types import (
    DeletedResponse,
    InputTokens,
    ItemList,
    ResponseObject,
)
from rowcast.frontend.api.operation import (
    EVENTS,
    JSON,
    READ_ERRORS,
    Described,
    Operation,
    Schema,
    event,
    reference,
)

_EVENTS = (
    events.ResponseCreated,
    events.ResponseQueued,
    events.ResponseInProgress,
    events.ResponseCompleted,
    events.ResponseIncomplete,
    events.ResponseFailed,
    events.ItemAdded,
    events.ItemDone,
    events.PartAdded,
    events.PartDone,
    events.OutputTextDelta,
    events.TextDone,
    events.ReasoningDelta,
    events.ReasoningDone,
    events.ArgumentsDelta,
    events.ArgumentsDone,
    events.ErrorEvent,
)
_STREAM = event({"anyOf": [reference(each) for each in _EVENTS]})
_EXAMPLE = {
    "model": "falcon40b",
    "input": "What is your favorite condiment?",
    "max_output_tokens": 32,
}
_STORED_ERRORS = tuple(sorted((400, 404, 409, *READ_ERRORS, 504)))


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


_ID = {
    "name": "response",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^resp_[0-9a-f]{1,64}$"},
}
_RETRIEVING = (
    _query("stream", {"type": "boolean"}),
    _query("starting_after", {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
)
_LISTING = (
    _query("limit", {"type": "integer", "minimum": 1, "maximum": 100}),
    _query("order", {"enum": ["asc", "desc"]}),
    _query("after", {"type": "string"}),
)


def _stored(
    method: str,
    path: str,
    summary: str,
    answers: Mapping[str, Described],
    *parameters: Schema,
    named: tuple[type, ...] = (),
) -> Operation:
    """Return an operation on a stored response."""
    return Operation(
        method=method,
        path=f"/v1/responses/{{response}}{path}",
        tag="OpenAI",
        summary=summary,
        answers=answers,
        error=ERROR,
        errors=_STORED_ERRORS,
        parameters=(_ID, *parameters),
        named=named,
    )


_OPERATIONS = (
    computing(
        post(
            "/v1/responses",
            "A response, or its events",
            ResponseBody,
            {JSON: ResponseObject, EVENTS: _STREAM},
            _EXAMPLE,
            *_EVENTS,
        )
    ),
    post(
        "/v1/responses/input_tokens",
        "How many tokens the input of a response has",
        ResponseBody,
        {JSON: InputTokens},
        _EXAMPLE,
    ),
    _stored(
        "get",
        "",
        "A stored response, or its events",
        {JSON: ResponseObject, EVENTS: _STREAM},
        *_RETRIEVING,
        named=_EVENTS,
    ),
    _stored("delete", "", "A stored response deleted", {JSON: DeletedResponse}),
    _stored("post", "/cancel", "A response in the background cancelled", {JSON: ResponseObject}),
    _stored("get", "/input_items", "The items of a response's input", {JSON: ItemList}, *_LISTING),
)

OPERATIONS = (
    *_OPERATIONS,
    *(replace(each, path=each.path.removeprefix("/v1")) for each in _OPERATIONS),
)
