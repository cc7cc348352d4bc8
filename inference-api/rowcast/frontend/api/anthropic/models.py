"""GET /v1/models and /v1/models/{id} in two forms: Anthropic's and OpenAI's.

Clients of Anthropic send `anthropic-version` with each request, and get its form.
"""

from datetime import UTC, datetime

from rowcast.frontend.api.anthropic.types import ListedModel, ListedModels
from rowcast.frontend.api.openai.models import model as openai_model
from rowcast.frontend.api.openai.models import models as openai_models
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

VERSION_HEADER = "anthropic-version"


def wants_form(request: Request) -> bool:
    """True if the request comes from a client of Anthropic."""
    return VERSION_HEADER in request.headers


def models(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with each model under its name and under its id at a hub."""
    if not wants_form(request):
        return openai_models(created, frontend, request)
    current = frontend.models.current
    data = [_listed(each, name, created) for each in current for name in each.names.listed]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return json_answer(ListedModels(data=data, first_id=first, last_id=last))


def model(created: int, frontend: Frontend, request: Request) -> Response:
    """Answer with one model."""
    if not wants_form(request):
        return openai_model(created, frontend, request)
    name = request.names["name"]
    return json_answer(_listed(frontend.models.find(name), name, created))


def _listed(slot: Slot, name: str, created: int) -> ListedModel:
    status = slot.health().status
    length = status.context_length if status else slot.state.context_length or None
    return ListedModel(
        id=name,
        display_name=name,
        created_at=datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z"),
        max_input_tokens=length,
        max_tokens=length,
    )
