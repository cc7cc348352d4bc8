"""GET /v1/models and /v1/models/{id}: the served models under each of their names."""

from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import Model, ModelList
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel


def models(created: int, frontend: Frontend, _request: Request) -> Response:
    """Answer with each model under its name and under its id at a hub; aliases are not listed."""
    named = ((name, each) for each in frontend.models for name in each.listed)
    return json_answer(ModelList([_model(each, name, created) for name, each in named]))


def model(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with one model."""
    name = request.names["name"]
    return json_answer(_model(frontend.model(name), name, created))


def _model(served: ServedModel, name: str, created: int) -> Model:
    status = served.sessions.health().status
    return Model(
        id=name,
        created=created,
        permission=[],
        root=served.listed[0],
        max_model_len=status.context_length if status else None,
        fingerprint=status.fingerprint if status else None,
    )
