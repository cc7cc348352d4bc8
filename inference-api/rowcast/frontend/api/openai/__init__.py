"""The OpenAI dialect: clients of OpenAI's text API, or vLLM's, work unchanged.

    POST /v1/completions, /v1/chat/completions        one object, or server-sent events
    GET  /v1/models, /v1/models/<id>
    all of these without /v1, too: a base URL often lacks it
    POST /v1/count_tokens, /tokenize, /detokenize     the latter two also below /v1
    POST /v1/replay                                   recomputes the replies of a receipt

`request/` parses and checks bodies into a validated request; `completions` and `chat` present its
replies in the format of their route; `response/` encodes and sends them. `docs/openai.md` describes
all of it.
"""

import re
import time
from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response

from rowcast.frontend.api.openai.chat import chat
from rowcast.frontend.api.openai.completions import completions
from rowcast.frontend.api.openai.errors import error_body
from rowcast.frontend.api.openai.models import model, models
from rowcast.frontend.api.openai.replay import replay
from rowcast.frontend.api.openai.tokens import count_tokens, detokenize, tokenize
from rowcast.frontend.frontend import Frontend

__all__ = ["PREFIXES", "ROWS", "blueprint", "error_body"]

PREFIXES = (
    "/v1/",
    "/tokenize",
    "/detokenize",
    "/chat/completions",
    "/completions",
    "/models",
)
ROWS = re.compile(r"(/v1)?/(completions|chat/completions)|/v1/replay")

POSTS: dict[str, Callable[[Frontend], Response]] = {
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


def blueprint(frontend: Frontend) -> Blueprint:
    """Return the routes of the OpenAI dialect."""
    routes = Blueprint("openai", __name__)
    created = int(time.time())
    native = {
        f"/chat/{name}" for name in frontend.models_in_paths
    }  # a model may be called "completions"
    for path, view in POSTS.items():
        if path in native:
            continue
        routes.add_url_rule(
            path,
            endpoint=path.replace("/", "_"),
            view_func=partial(view, frontend),
            methods=["POST"],
        )
    for base in ("/v1", ""):
        listed, one = partial(models, frontend, created), partial(model, frontend, created=created)
        routes.add_url_rule(f"{base}/models", f"{base}models", listed)
        routes.add_url_rule(f"{base}/models/<path:name>", f"{base}model", one)
    return routes
