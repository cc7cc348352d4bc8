"""One module per HTTP dialect: body to `Prompt`, pieces to chunks. `DIALECTS` registers them.

A dialect has routes, their part of the API documents, and its own form for errors below the paths
that it owns; everywhere else errors are `{"status_code", "message"}`.
"""

from collections.abc import Iterable

from rowcast.frontend.api import (
    anthropic,
    batches,
    documents,
    embeddings,
    generate,
    health,
    metrics,
    models,
    native,
    openai,
    page,
    rerank,
    rows,
    streams,
    tasks,
)
from rowcast.frontend.api.dialect import Dialect
from rowcast.frontend.api.openai import responses

DIALECTS: tuple[Dialect, ...] = (  # the first one formats errors at paths that none owns
    native.DIALECT,
    anthropic.DIALECT,  # before OpenAI's, which owns all of /v1/
    responses.DIALECT,
    openai.DIALECT,
    embeddings.DIALECT,
    rerank.DIALECT,
    *generate.DIALECTS,
    streams.DIALECT,
    rows.DIALECT,
    tasks.DIALECT,
    batches.DIALECT,
    models.DIALECT,
    documents.DIALECT,
    health.DIALECT,
    metrics.DIALECT,
    page.DIALECT,
)


def model_in(path: str, dialects: Iterable[Dialect] = DIALECTS) -> str:
    """Return the model in the path of a request for rows; "" if its body may name one."""
    for each in dialects:
        if each.rows and (found := each.rows.fullmatch(path)):
            return found.groupdict().get("model") or ""
    return ""


def is_stored(path: str, body: bytes, dialects: Iterable[Dialect] = DIALECTS) -> bool:
    """True if a request for replies with this body seems to be stored now, and computed later."""
    return any(
        each.rows and each.stored and each.rows.fullmatch(path) and each.stored.search(body)
        for each in dialects
    )


def reads_again(method: str, target: str, dialects: Iterable[Dialect] = DIALECTS) -> bool:
    """True if a request with this method, path and query is for a stream that was begun before."""
    return method == "GET" and any(each.again and each.again.match(target) for each in dialects)


def needs_rows(method: str, path: str, dialects: Iterable[Dialect] = DIALECTS) -> bool:
    """True if a request with this method and path is for replies, which need rows."""
    return method == "POST" and any(each.rows and each.rows.fullmatch(path) for each in dialects)
