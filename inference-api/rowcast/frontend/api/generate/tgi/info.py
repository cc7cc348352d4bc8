"""GET /info: the default model, and the limits of requests to it."""

from rowcast import __version__
from rowcast.errors import NotReady
from rowcast.frontend.api.bodies.types import MOST_CHOICES, MOST_STOPS
from rowcast.frontend.api.generate.tgi.types import Info
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response


def info(frontend: Frontend, _request: Request) -> Response:
    """Answer with the model's id and limits; load nothing. Raises NotReady if they are unknown."""
    slot = frontend.models.find(None)
    health, known = slot.health(), slot.state
    context = health.status.context_length if health.status else known.context_length
    rows = health.status.rows if health.status else 0
    if not context:
        raise NotReady(health.reason)
    return json_answer(
        Info(
            model_id=slot.names.listed[-1],
            max_concurrent_requests=rows + frontend.settings.waiting_line,
            max_best_of=MOST_CHOICES,
            max_stop_sequences=MOST_STOPS,
            max_input_tokens=context - 1,
            max_total_tokens=context,
            validation_workers=frontend.settings.helpers,
            version=__version__,
        )
    )
