"""GET /v1/models and /v1/models/{id}: the served model under each of its names."""

from flask import Response

from rowcast.errors import UnknownModel
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import Model, ModelList
from rowcast.frontend.frontend import Frontend


def models(frontend: Frontend, created: int) -> Response:
    """Answer with the model under its name and under its id at a hub; aliases are not listed."""
    names = frontend.settings.listed_names
    return json_answer(ModelList([_model(frontend, name, created) for name in names]))


def model(frontend: Frontend, name: str, created: int) -> Response:
    """Answer with one model."""
    if name not in frontend.models:
        raise UnknownModel(f"The model {name[:80]!r} does not exist")
    return json_answer(_model(frontend, name, created))


def _model(frontend: Frontend, name: str, created: int) -> Model:
    status = frontend.sessions.health().status
    return Model(
        id=name,
        created=created,
        permission=[],
        root=frontend.settings.served_name,
        max_model_len=status.context_length if status else None,
        fingerprint=status.fingerprint if status else None,
    )
