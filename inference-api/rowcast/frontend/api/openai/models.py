"""GET /v1/models and /v1/models/{id}: the models under each of their names; no model is loaded.

The answer has the fields of llama-server's router too. Only administrators see paths of this
machine in the reason of a failed load.
"""

from typing import Literal

from rowcast.frontend.api.openai.response.model_types import (
    Model,
    ModelList,
    ModelStatus,
    OtherBuild,
)
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.reasons import without_paths
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.models.messages import BuildState, State

_VALUES: dict[State, Literal["loaded", "loading", "unloaded"]] = {
    "unloaded": "unloaded",
    "loading": "loading",
    "ready": "loaded",
    "draining": "loaded",
    "failed": "unloaded",
}


def models(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with each model under its name and under its id at a hub; aliases are not listed."""
    named = ((name, each) for each in frontend.models.current for name in each.names.listed)
    data = [_model(frontend, request, each, name, created) for name, each in named]
    return json_answer(ModelList(data))


def model(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with one model."""
    name = request.names["name"]
    slot = frontend.models.find(name)
    return json_answer(_model(frontend, request, slot, name, created))


def _model(frontend: Frontend, request: Request, slot: Slot, name: str, created: int) -> Model:
    status, known = slot.health().status, slot.state
    build, paths = known.build, request.caller.admin
    return Model(
        id=name,
        created=created,
        permission=[],
        root=slot.names.listed[0],
        max_model_len=status.context_length if status else known.context_length or None,
        dimensions=status.dimensions or None if status else None,
        pooling=slot.served.vectors.pooling if slot.served else None,
        fingerprint=status.fingerprint if status else known.fingerprint or None,
        status=_status_here(slot, paths=paths),
        state=known.state,
        aliases=[each for each in frontend.models.names_of(slot) if each != name],
        bytes=known.needs or None,
        load=build.load,
        idle_seconds=build.idle_seconds,
        keep=build.keep,
        loads=known.loads,
        load_seconds=known.load_seconds,
        others=_others(frontend, slot, paths=paths),
    )


def _status_here(slot: Slot, *, paths: bool) -> ModelStatus:
    """Return the state of a build, as far as this process can use it."""
    status = _status(slot.state, paths=paths)
    failure = slot.failure
    if status.value == "loaded" and slot.served is not None and not slot.health().ready:
        status.value = "loading"
    if failure is not None:
        status.retry_seconds = failure.retry_after
    return status


def _status(known: BuildState, *, paths: bool) -> ModelStatus:
    """Return the state, in the words of other servers."""
    failed = known.state == "failed"
    reason = known.reason if paths else without_paths(known.reason)
    return ModelStatus(
        value=_VALUES[known.state],
        failed=failed,
        stage=known.stage or None,
        reason=reason if failed else None,
    )


def _others(frontend: Frontend, slot: Slot, *, paths: bool) -> list[OtherBuild]:
    """Return the other builds of its name that are not unloaded."""
    return [
        OtherBuild(
            state=each.state,
            fingerprint=each.fingerprint or None,
            bytes=each.needs or None,
            status=_status(each, paths=paths),
        )
        for each in frontend.models.states()
        if each.build.name == slot.name and not each.current and each.state != "unloaded"
    ]
