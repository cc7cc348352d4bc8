"""Anthropic's dialect: clients and agents of its Messages API work unchanged.

    POST /v1/messages                    one message, or its stream of events
    POST /v1/messages/count_tokens       the tokens of the same prompt
    GET  /v1/models, /v1/models/<id>     with `anthropic-version` in Anthropic's form, else OpenAI's

`body` has the types of requests; `chat_body` and `turns` convert them to the chat that all dialects
share; `view` and `blocks` present the reply, and `stream` sends it. `docs/anthropic.md` describes
all of it.
"""

import re
import time
from collections.abc import Iterable
from functools import partial

from rowcast.frontend.api.anthropic.errors import OVERLOADED, error_body, error_event
from rowcast.frontend.api.anthropic.messages import ID_HEADER, count_tokens, create
from rowcast.frontend.api.anthropic.models import model, models, wants_form
from rowcast.frontend.api.anthropic.openapi import OPERATIONS
from rowcast.frontend.api.dialect import Api, Dialect, Route


def routes(_: Api) -> Iterable[Route]:
    """Return the routes of Anthropic's dialect."""
    created = int(time.time())
    yield Route("POST", "/v1/messages", create)
    yield Route("POST", "/v1/messages/count_tokens", count_tokens)
    yield Route("GET", "/v1/models", partial(models, created))
    yield Route("GET", "/v1/models/<path:name>", partial(model, created))


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=("/v1/messages",),
    recognizes=lambda request: request.path.startswith("/v1/models") and wants_form(request),
    rows=re.compile("/v1/messages"),
    overloaded=OVERLOADED,
    id_header=ID_HEADER,
)
