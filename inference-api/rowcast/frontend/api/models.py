"""Loading and unloading models by hand, with the names and forms of llama-server's router.

    POST /models/load     {"model": name} ──▶ {"success": true}: it is loading, or loaded
    POST /models/unload   {"model": name} ──▶ {"success": true}: it is unloaded once no session
                                              uses it
    GET  /models          the list of the OpenAI dialect, with the state of each

Both POSTs answer at once, and only to administrators; `identity` defines who is one. The next
request for an unloaded model loads it again.
"""

import logging
from collections.abc import Callable, Iterable

from rowcast.errors import Forbidden, RequestError
from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.models import OPERATIONS, ModelBody, Success
from rowcast.frontend.api.openai.errors import error_body, error_event
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

_log = logging.getLogger("rowcast.models")

CLAIM = (
    'only administrators load and unload models: send a token with the claim "admin": true, '
    "as `rowcast token encode … --admin` makes it"
)
LOCAL = (
    "only administrators load and unload models: send the request on the server's own machine, "
    "not through a proxy; or give server and proxy one PROXY_SECRET, and send a token with the "
    'claim "admin": true'
)


def routes(_: Api) -> Iterable[Route]:
    """Return the routes."""
    return Route("POST", "/models/load", load), Route("POST", "/models/unload", unload)


def load(frontend: Frontend, request: Request) -> Response:
    """Start to load a model."""
    slot = _named(frontend, request)
    return _order(request, slot, frontend.models.load, "ready")


def unload(frontend: Frontend, request: Request) -> Response:
    """Unload a model as soon as no session uses it."""
    slot = _named(frontend, request)
    return _order(request, slot, frontend.models.unload, "unloaded")


def _named(frontend: Frontend, request: Request) -> Slot:
    """Return the model that the body names. Raises Forbidden, and UnknownModel."""
    if not request.caller.admin:
        raise Forbidden(CLAIM if frontend.settings.proxy_secret else LOCAL)
    body = as_struct(request.body.json(plain=True), ModelBody)
    return frontend.models.find(body.model)


def _order(request: Request, slot: Slot, order: Callable[[str], str], wanted: str) -> Response:
    """Send the order; answer once the supervisor has accepted it."""
    problem = order(slot.name)
    _log.info(
        "request=%s team=%r model=%s by_hand=%s%s",
        request.id,
        request.caller.team,
        slot.name,
        request.path,
        f" not done: {problem}" if problem else "",
    )
    if problem and slot.state.state != wanted:
        raise slot.failure or RequestError(problem)
    return json_answer(Success(success=True))


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=("/models/",),
)
