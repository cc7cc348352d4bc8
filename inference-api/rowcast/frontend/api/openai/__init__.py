"""The OpenAI dialect: clients of OpenAI's text API, or vLLM's, work unchanged.

    POST /v1/completions, /v1/chat/completions        one object, or server-sent events
    GET  /v1/models, /v1/models/<id>                  `anthropic` serves them, in two forms
    all of these without /v1, too: a base URL often lacks it
    POST /v1/count_tokens, /tokenize, /detokenize     the latter two also below /v1
    POST /v1/replay                                   recomputes the replies of a receipt

`request/` parses and checks bodies into a validated request; `completions` and `chat` present its
replies in the format of their route; `response/` encodes and sends them. `docs/openai.md` describes
all of it.
"""

import re
import time
from collections.abc import Iterable
from functools import partial

from rowcast.frontend.api.dialect import Api, Dialect, Handler, Route
from rowcast.frontend.api.openai.chat import chat
from rowcast.frontend.api.openai.completions import completions
from rowcast.frontend.api.openai.errors import error_body, error_event
from rowcast.frontend.api.openai.models import model, models
from rowcast.frontend.api.openai.openapi import OPERATIONS
from rowcast.frontend.api.openai.replay import replay
from rowcast.frontend.api.openai.tokens import count_tokens, detokenize, tokenize

PREFIXES = (
    "/v1/",
    "/tokenize",
    "/detokenize",
    "/chat/completions",
    "/completions",
    "/models",
)
ROWS = re.compile(r"(/v1)?/(completions|chat/completions)|/v1/replay")

POSTS: dict[str, Handler] = {
    "/v1/completions": completions,
    "/v1/chat/completions": chat,
    "/completions": completions,
    "/chat/completions": chat,
    "/v1/count_tokens": count_tokens,
    "/v1/replay": replay,
    "/v1/tokenize": tokenize,
    "/v1/detokenize": detokenize,
    "/tokenize": tokenize,
    "/detokenize": detokenize,
}


def routes(api: Api) -> Iterable[Route]:
    """Return the routes of the OpenAI dialect."""
    created = int(time.time())
    native = {f"/chat/{name}" for name in api.frontend.in_paths}  # a model may be "completions"
    for path, handler in POSTS.items():
        if path not in native:
            yield Route("POST", path, handler)
    yield Route("GET", "/models", partial(models, created))  # /v1/models: `anthropic`
    yield Route("GET", "/models/<path:name>", partial(model, created))


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=PREFIXES,
    rows=ROWS,
)
