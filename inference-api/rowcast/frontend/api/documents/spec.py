"""All dialects' operations as one OpenAPI 3.1 document, specific to this server.

Schemas come from the types that parse bodies and encode answers. Where they depend on this server
(its models' names, the size of its vocabulary), titles mark the places to fill in.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from rowcast import __version__
from rowcast.errors import NotReady
from rowcast.frontend.api.anthropic.body import DocumentBlock, ImageBlock
from rowcast.frontend.api.bodies.types import MODEL_NAME, TOKEN_ID, ImagePart, ImageUrlPart
from rowcast.frontend.api.documents import replies
from rowcast.frontend.api.openai.responses.request.items import MessageItem
from rowcast.frontend.api.operation import COMPONENT, JSON, Described, Operation, Schema
from rowcast.frontend.frontend import Frontend
from rowcast_http.answers import phrase_of

_IN_PATH = "ModelInPath"

_IMAGES = tuple(
    COMPONENT.format(name=part.__name__)
    for part in (ImagePart, ImageUrlPart, ImageBlock, DocumentBlock)
)

_WITHOUT_TYPE = (MessageItem,)  # what a list's item is if it has no `type`

SchemaOf = Callable[[Described], Schema]


def spec(frontend: Frontend, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document."""
    named, components = _schemas(operations)

    def schema_of(kind: Described) -> Schema:
        if isinstance(kind, tuple):
            return {"anyOf": [named[each] for each in kind]}
        return named[kind] if isinstance(kind, type) else kind

    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schema_of)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Rowcast",
            "version": __version__,
            "description": "Streams language models. The same request with the same seed gives the "
            "same bytes.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
    filled: dict[str, Any] = _filled(document, _facts(frontend))
    return filled


def _schemas(operations: Iterable[Operation]) -> tuple[dict[type, Schema], dict[str, Any]]:
    """Return the schema of each type, and the components to which they refer."""
    kinds: dict[type, None] = {}
    for operation in operations:
        used = (operation.body, *operation.answers.values(), operation.error, operation.named)
        kinds |= dict.fromkeys(kind for each in used for kind in _types(each))
    schemas, components = msgspec.json.schema_components(list(kinds), ref_template=COMPONENT)
    for kind in _WITHOUT_TYPE:
        if described := components.get(kind.__name__):
            described["required"].remove("type")
    return dict(zip(kinds, schemas, strict=True)), dict(components)


def _types(described: object) -> Iterable[type]:
    several = described if isinstance(described, tuple) else (described,)
    return (each for each in several if isinstance(each, type))


def _described(operation: Operation, schema_of: SchemaOf) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, schema_of),
    }
    parameters = [*operation.parameters, *(replies.PARAMETERS if operation.replies else ())]
    if operation.stands_for_model:
        schema = {"type": "string", "title": _IN_PATH}
        parameters += [{"name": "model", "in": "path", "required": True, "schema": schema}]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of(operation.body)}
        if operation.example is not None:
            content["example"] = operation.example
        described["requestBody"] = {"required": True, "content": {JSON: content}}
    return described


def _responses(operation: Operation, schema_of: SchemaOf) -> dict[str, Any]:
    content = {kind: {"schema": schema_of(answer)} for kind, answer in operation.answers.items()}
    answer: dict[str, Any] = {"description": "The answer"}
    answer |= {"content": content} if content else {}
    answer |= replies.ANSWERED if operation.replies else {}
    responses: dict[str, Any] = {str(operation.success): answer}
    refusals = dict.fromkeys(operation.errors, operation.error) | dict(operation.others)
    for status, kind in sorted(refusals.items()):
        responses[str(status)] = {
            "description": phrase_of(status),
            "content": {JSON: {"schema": schema_of(kind)}},
        }
    return responses


def _facts(frontend: Frontend) -> dict[str, dict[str, Any]]:
    token: dict[str, Any] = {"minimum": 0}
    if len(frontend.models.current) == 1:  # others have other vocabularies
        with contextlib.suppress(NotReady):
            token["maximum"] = frontend.default.tokenizer.vocabulary - 1
    return {
        MODEL_NAME: {"enum": list(frontend.listed)},
        _IN_PATH: {"enum": list(frontend.in_paths)},
        TOKEN_ID: token,
    }


def _filled(value: Any, facts: dict[str, dict[str, Any]]) -> Any:
    """Return a copy with this server's facts at the places that titles mark, without images."""
    if isinstance(value, dict):
        found = {name: _filled(each, facts) for name, each in value.items() if each not in _IMAGES}
        title = value.get("title")
        return found | facts[title] if isinstance(title, str) and title in facts else found
    if isinstance(value, list):
        return [_filled(each, facts) for each in value if not _is_image(each)]
    return value


def _is_image(value: object) -> bool:
    """True for image parts, which a text-only model refuses."""
    return isinstance(value, dict) and value.get("$ref") in _IMAGES
