"""OpenAPI operations of files and batches."""

from collections.abc import Mapping
from typing import Any

from rowcast.frontend.api.batches.types import (
    BatchBody,
    BatchList,
    BatchObject,
    FileDeleted,
    FileList,
    FileObject,
)
from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import BODY_ERRORS, JSON, READ_ERRORS, Operation, Schema

_FILE: Schema = {"name": "file", "in": "path", "required": True, "schema": {"type": "string"}}
_BATCH: Schema = {"name": "batch", "in": "path", "required": True, "schema": {"type": "string"}}
_AFTER: Schema = {
    "name": "after",
    "in": "query",
    "description": "The id of the last object of the previous page",
    "schema": {"type": "string"},
}
_ORDER: Schema = {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"]}}
_PURPOSE: Schema = {"name": "purpose", "in": "query", "schema": {"type": "string"}}
_SOME = (400, *READ_ERRORS)  # 400 also if there is no journal
_ONE = (404, *_SOME)


def _limit(most: int) -> Mapping[str, Any]:
    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return {"name": "limit", "in": "query", "schema": schema}


def _operation(method: str, path: str, summary: str, answer: type, **more: Any) -> Operation:
    described: dict[str, Any] = {"answers": {JSON: answer}, "errors": _ONE, "error": ERROR}
    tag = path.split("/")[2]
    return Operation(method=method, path=path, tag=tag, summary=summary, **described | more)


OPERATIONS = (
    _operation(
        "post",
        "/v1/files",
        "Store a file of requests, sent as multipart/form-data",
        FileObject,
        errors=BODY_ERRORS,
    ),
    _operation(
        "get",
        "/v1/files",
        "The team's files",
        FileList,
        errors=_SOME,
        parameters=(_limit(1000), _AFTER, _ORDER, _PURPOSE),
    ),
    _operation("get", "/v1/files/{file}", "A file", FileObject, parameters=(_FILE,)),
    _operation("delete", "/v1/files/{file}", "A file, deleted", FileDeleted, parameters=(_FILE,)),
    _operation(
        "get",
        "/v1/files/{file}/content",
        "The bytes of a file",
        FileObject,
        answers={"application/octet-stream": {"type": "string", "format": "binary"}},
        parameters=(_FILE,),
    ),
    _operation(
        "post",
        "/v1/batches",
        "Compute the lines of a file in the background",
        BatchObject,
        body=BatchBody,
        example={
            "input_file_id": "file-abc",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        },
        errors=BODY_ERRORS,
    ),
    _operation(
        "get",
        "/v1/batches",
        "The team's batches, the latest first",
        BatchList,
        errors=_SOME,
        parameters=(_limit(100), _AFTER),
    ),
    _operation("get", "/v1/batches/{batch}", "A batch", BatchObject, parameters=(_BATCH,)),
    _operation(
        "post", "/v1/batches/{batch}/cancel", "End a batch", BatchObject, parameters=(_BATCH,)
    ),
)
