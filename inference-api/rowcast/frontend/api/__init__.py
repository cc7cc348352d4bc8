"""One module per HTTP dialect: body to `Prompt`, pieces to chunks. `DIALECTS` registers them.

A dialect has routes, their part of the API documents, and its own form for errors below the paths
that it owns; everywhere else errors are `{"status_code", "message"}`.
"""

from collections.abc import Iterable

from rowcast.frontend.api import documents, generate, health, native, openai, streams
from rowcast.frontend.api.dialect import Dialect
from rowcast.frontend.request.request import Request

DIALECTS: tuple[Dialect, ...] = (  # the first one formats errors at paths that none owns
    native.DIALECT,
    openai.DIALECT,
    *generate.DIALECTS,
    streams.DIALECT,
    documents.DIALECT,
    health.DIALECT,
)


def dialect_of(path: str, dialects: Iterable[Dialect] = DIALECTS) -> Dialect:
    """Return the dialect that formats errors at this path."""
    first, *_ = known = tuple(dialects)
    return next((each for each in known if path.startswith(each.prefixes)), first)


def dialect_for(request: Request, dialects: Iterable[Dialect]) -> Dialect:
    """Return the dialect that formats errors of this request."""
    known = tuple(dialects)
    recognized = (each for each in known if each.recognizes(request))
    return next(recognized, None) or dialect_of(request.path, known)


def needs_rows(method: str, path: str, dialects: Iterable[Dialect] = DIALECTS) -> bool:
    """True if a request with this method and path is for replies, which need rows."""
    return method == "POST" and any(each.rows and each.rows.fullmatch(path) for each in dialects)
