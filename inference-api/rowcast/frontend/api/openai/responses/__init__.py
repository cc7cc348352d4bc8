"""OpenAI's Responses, over the journal.

    POST   /v1/responses                      a response, or its events
    GET    /v1/responses/<id>                 the same again; its events from any number on
    DELETE /v1/responses/<id>
    POST   /v1/responses/<id>/cancel          for responses in the background
    GET    /v1/responses/<id>/input_items     what it was an answer to
    POST   /v1/responses/input_tokens         how many tokens a request has

A body becomes the chat body that means the same (`chat_body`), so templates, tools and rules are
those of chat; `output` makes items and events of the reply, `numbers` numbers them. A stored
response is a recorded request (`records`). `docs/responses.md` describes all of it.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.openai.errors import error_body
from rowcast.frontend.api.openai.responses.create import count, create
from rowcast.frontend.api.openai.responses.openapi import OPERATIONS
from rowcast.frontend.api.openai.responses.response.errors import error_event
from rowcast.frontend.api.openai.responses.stored.records import PATHS
from rowcast.frontend.api.openai.responses.stored.retrieving import (
    cancel,
    delete,
    input_items,
    retrieve,
)

ROUTES = (
    Route("POST", "/v1/responses", create),
    Route("POST", "/v1/responses/input_tokens", count),
    Route("GET", "/v1/responses/<response>", retrieve),
    Route("DELETE", "/v1/responses/<response>", delete),
    Route("POST", "/v1/responses/<response>/cancel", cancel),
    Route("GET", "/v1/responses/<response>/input_items", input_items),
)


def routes(_: Api) -> Iterable[Route]:
    """Return the routes; a base URL may lack /v1."""
    return (*ROUTES, *(replace(each, path=each.path.removeprefix("/v1")) for each in ROUTES))


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=PATHS,
    rows=re.compile("|".join(PATHS)),
    again=re.compile(r"(/v1)?/responses/[^/?]+\?(.*&)?stream=(true|1)\b"),
    stored=re.compile(rb'"background"\s*:\s*true'),
)
