"""Models by hand, with the names and forms of llama-server's router.

    POST /models/load     {"model": name} ──▶ {"success": true}: it loads, or is loaded
    POST /models/unload   {"model": name} ──▶ {"success": true}: nobody's session ends; it leaves
                                              once nobody uses it
    GET  /models          is the list of the OpenAI dialect, with the state of each

Both answer at once. Only for administrators; `identity` says who that is. A model that was unloaded
is loaded again by the next request for it.
"""

import logging
from collections.abc import Callable, Iterable

from rowcast.errors import Forbidden, RequestError
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.models import OPERATIONS, ModelBody, Success
from rowcast.frontend.api.openai.errors import error_body, error_event
from rowcast.frontend.api.openai.request.parsing import as_struct
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
    """Have a model loaded."""
    slot = _named(frontend, request)
    return _order(request, slot, frontend.models.load, "ready")


def unload(frontend: Frontend, request: Request) -> Response:
    """Have a model unloaded as soon as nobody uses it."""
    slot = _named(frontend, request)
    return _order(request, slot, frontend.models.unload, "unloaded")


def _named(frontend: Frontend, request: Request) -> Slot:
    """Return the model that the body names. Raises Forbidden, and UnknownModel."""
    if not request.caller.admin:
        raise Forbidden(CLAIM if frontend.settings.proxy_secret else LOCAL)
    body = as_struct(request.body.json(plain=True), ModelBody)
    return frontend.models.find(body.model)


def _order(request: Request, slot: Slot, order: Callable[[str], str], wanted: str) -> Response:
    """Order it; answer once the supervisor has taken the order."""
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
