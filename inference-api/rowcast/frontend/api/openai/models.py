"""GET /v1/models and /v1/models/{id}: the models under each of their names; loads none of them."""

from typing import Literal

from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import Model, ModelList, ModelStatus
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.models.messages import State

_VALUES: dict[State, Literal["loaded", "loading", "unloaded", "failed"]] = {
    "unloaded": "unloaded",
    "loading": "loading",
    "ready": "loaded",
    "draining": "loaded",
    "failed": "failed",
}


def models(created: int, frontend: Frontend, _request: Request) -> Response:
    """Answer with each model under its name and under its id at a hub; aliases are not listed."""
    named = ((name, each) for each in frontend.models.current for name in each.names.listed)
    return json_answer(ModelList([_model(each, name, created) for name, each in named]))


def model(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with one model."""
    name = request.names["name"]
    return json_answer(_model(frontend.models.find(name), name, created))


def _model(slot: Slot, name: str, created: int) -> Model:
    status, known = slot.health().status, slot.state
    return Model(
        id=name,
        created=created,
        permission=[],
        root=slot.names.listed[0],
        max_model_len=status.context_length if status else known.context_length or None,
        fingerprint=status.fingerprint if status else known.fingerprint or None,
        status=_status(slot),
    )


def _status(slot: Slot) -> ModelStatus:
    """Return the state, in the words of other servers."""
    known = slot.state
    value = _VALUES[known.state]
    if value == "loaded" and slot.served is not None and not slot.health().ready:
        value = "loading"
    return ModelStatus(value=value, stage=known.stage or None, reason=known.reason or None)
