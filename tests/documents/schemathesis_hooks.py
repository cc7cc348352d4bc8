"""Corrections for what schemathesis cannot infer from the API documents: headers and time.

A server that refused unknown headers would refuse every proxy's, so requests that are invalid only
because of such a header are left out. If a request allows its reply a thousandth of a second, the
reply is a 504 or is cut, as documented; these tests need the reply, so such requests are given a
minute. `tests/reliability/test_request_timeouts.py` covers the short timeouts. A request for 128
replies that fill the context takes minutes; here replies are short.

In the stateful phase a reply's links are followed to its stream. That phase does not begin with an
operation whose fields are named as if they came from another's answer (`session_id`).

The served model has no template that shows an instruction for reranking, so none is sent.

A model that a request has unloaded is loaded again before the next one, which may be for health.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlencode

import requests
import schemathesis

from rowcast.frontend.request.deadline import HEADER, LONGEST, SHORTEST

ENOUGH = 60
UNLOAD, LOAD = "/models/unload", "/models/load"
COUNTS = ("/v1/responses/input_tokens", "/responses/input_tokens")
TOKENS = 200
LONGEST_QUERY = 2000  # a first line over 4,094 bytes is a 414 before any route is known


@schemathesis.hook
def before_load_schema(
    context: schemathesis.HookContext,
    raw_schema: dict[str, Any],
) -> None:
    """In the stateful phase, drop fields that look as if another operation had to provide them."""
    if os.environ["PHASES"] != "stateful":
        return
    components = raw_schema["components"]["schemas"]
    for operations in raw_schema["paths"].values():
        for body in (each["requestBody"] for each in operations.values() if "requestBody" in each):
            schema = body["content"]["application/json"]["schema"]
            _drop_ids(components.get(schema.get("$ref", "").rpartition("/")[2], schema))


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """True if every header that it sends is documented, and its first line can be read.

        GET at /models/load is documented as /models/{model}: a model may be called "load". So is
    /v1/responses/input_tokens, as a response.
    """
    if case.method.upper() != "POST" and case.path in {LOAD, UNLOAD, *COUNTS}:
        return False
    if len(urlencode(case.query or {}, doseq=True)) > LONGEST_QUERY:
        return False
    described = {each.name.lower() for each in case.operation.headers}
    return {name.lower() for name in case.headers or {}} <= described


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext,
    case: schemathesis.Case[Any],
    kwargs: dict[str, Any],
) -> None:
    """Give a reply enough time, if the request sets a valid limit, and keep it short."""
    if case.headers and _allows(case.headers.get(HEADER)):
        case.headers[HEADER] = str(ENOUGH)
    if isinstance(case.body, dict):
        if _allows(case.body.get("timeout")):
            case.body["timeout"] = ENOUGH
        if case.path.endswith("/chat/completions") and "max_completion_tokens" not in case.body:
            case.body.setdefault("max_tokens", TOKENS)  # the default fills the context
        if case.path.endswith("/rerank"):
            case.body.pop("instruction", None)
        _shorten(case.body)
        _shorten(case.body.get("parameters"))


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> None:
    """Have a model loaded again that was unloaded, and wait until it is."""
    if case.path != UNLOAD or response.status_code != 200:
        return
    server = str(response.request.url).removesuffix(UNLOAD)
    requests.post(f"{server}{LOAD}", json=case.body, timeout=ENOUGH).raise_for_status()
    until = time.monotonic() + ENOUGH
    while requests.get(f"{server}/readiness", timeout=ENOUGH).status_code != 200:
        assert time.monotonic() < until, "the model is not ready again"
        time.sleep(0.02)


def _shorten(fields: object) -> None:
    """Reduce token counts to what a test can wait for."""
    if not isinstance(fields, dict):
        return
    for name in ("max_tokens", "max_completion_tokens", "min_tokens"):
        if isinstance(fields.get(name), int | float) and fields[name] > TOKENS:
            fields[name] = TOKENS


def _allows(timeout: object) -> bool:
    try:
        return SHORTEST <= float(str(timeout)) <= LONGEST
    except ValueError:
        return False


def _drop_ids(body: dict[str, Any]) -> None:
    """Drop the fields whose names look like ids."""
    fields = body.get("properties", {})
    for name in [name for name in fields if name.endswith(("_id", "_ids"))]:
        del fields[name]
