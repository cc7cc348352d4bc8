"""GET /info: the default model, and the limits of requests to it."""

from rowcast import __version__
from rowcast.frontend.api.generate.tgi.types import Info
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response


def info(frontend: Frontend, _request: Request) -> Response:
    """Answer with the model's id and limits. Raises NotReady if there is no backend."""
    served = frontend.default
    status = served.status()
    return json_answer(
        Info(
            model_id=served.listed[-1],
            max_concurrent_requests=status.rows + frontend.settings.waiting_line,
            max_best_of=128,
            max_stop_sequences=16,
            max_input_tokens=status.context_length - 1,
            max_total_tokens=status.context_length,
            validation_workers=frontend.settings.helpers,
            version=__version__,
        )
    )
