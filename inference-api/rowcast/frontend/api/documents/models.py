"""OpenAPI operations that load and unload models, and the types of their bodies and answers."""

from msgspec import Struct

from rowcast.frontend.api.bodies.types import ModelName
from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import BODY_ERRORS, JSON, Operation


class ModelBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """POST /models/load and /models/unload."""

    model: ModelName


class Success(Struct, kw_only=True):
    """The order was accepted."""

    success: bool


def _operation(path: str, summary: str) -> Operation:
    return Operation(
        method="post",
        path=path,
        tag="models",
        summary=summary,
        body=ModelBody,
        example={"model": "falcon40b"},
        answers={JSON: Success},
        error=ERROR,
        errors=BODY_ERRORS,
    )


OPERATIONS = (
    _operation("/models/load", "Load a model; for administrators"),
    _operation("/models/unload", "Unload a model once no session uses it; for administrators"),
)
