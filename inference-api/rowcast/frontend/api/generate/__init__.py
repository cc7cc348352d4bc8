"""The dialect of `/generate`: one route, the bodies of four systems.

    POST /generate, /generate/      `prompt` or `text`: vLLM's, FlexFlow's, a task service's body
                                    `inputs`: TGI's
    POST /generate_stream           TGI's events
    POST /                          `inputs`: TGI's, for clients that have only a base URL;
                                    other bodies: native
    GET  /info                      the model and its limits, in TGI's form

The body alone selects the contract. `prompts` answers the first three systems, `tgi` the fourth.
`docs/generate.md` describes all of it.
"""

import re
from collections.abc import Iterable

from rowcast.errors import InvalidField
from rowcast.frontend.api import native
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.generate import prompts, tgi
from rowcast.frontend.api.generate.errors import error_body
from rowcast.frontend.api.generate.openapi import PROMPT_OPERATIONS, TGI_OPERATIONS
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

PATHS = ("/generate", "/generate/")


def generate(frontend: Frontend, request: Request) -> Response:
    """Answer in the form of the body's contract."""
    sent = request.body.json(plain=True)
    if tgi.INPUTS in sent:
        return tgi.generate(frontend, request, sent)
    if not prompts.NAMES & sent.keys():
        raise InvalidField(
            "prompt",
            f"is missing; send prompt (or text), or {tgi.INPUTS} for an answer in TGI's form",
        )
    return prompts.generate(frontend, request, sent)


def root(frontend: Frontend, request: Request) -> Response:
    """Answer a body of TGI as TGI did at its root, other bodies natively."""
    if tgi.may_have_inputs(request.body.read()):
        sent = request.body.json(plain=True)
        if tgi.INPUTS in sent:
            return tgi.generate_listed(frontend, request, sent)
    return native.inference(frontend, request)


def _prompt_routes(_: Api) -> Iterable[Route]:
    return (Route("POST", path, generate) for path in PATHS)


def _tgi_routes(_: Api) -> Iterable[Route]:
    return (
        Route("POST", "/", root),
        Route("POST", "/generate_stream", tgi.generate_stream),
        Route("GET", "/info", tgi.info),
    )


TGI = Dialect(
    routes=_tgi_routes,
    operations=TGI_OPERATIONS,
    error_body=tgi.error_body,
    error_event=tgi.error_event,
    prefixes=("/generate_stream", "/info"),
    recognizes=lambda request: (
        request.path in {"/", *PATHS} and tgi.has_inputs(request.body.received)
    ),
    rows=re.compile("/generate_stream"),
)
PROMPTS = Dialect(
    routes=_prompt_routes,
    operations=PROMPT_OPERATIONS,
    error_body=error_body,
    prefixes=PATHS[:1],
    rows=re.compile("/generate/?"),
)
DIALECTS = (TGI, PROMPTS)
