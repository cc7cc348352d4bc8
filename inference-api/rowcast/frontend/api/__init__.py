"""One module per HTTP dialect: body to `Prompt`, pieces to chunks. `DIALECTS` registers them.

A dialect has routes, and its own form for errors below the paths that it owns; everywhere else
errors are `{"status_code", "message"}`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint

from rowcast.frontend.api import documents, native, openai
from rowcast.frontend.frontend import Frontend

ErrorBody = Callable[[int, str, Exception | None], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """An HTTP contract."""

    blueprint: Callable[[Frontend], Blueprint]
    error_body: ErrorBody
    prefixes: tuple[str, ...] = ()  # paths whose errors have its form
    rows: re.Pattern[str] | None = None  # paths where a POST needs rows


NATIVE = Dialect(native.blueprint, native.error_body, rows=native.ROWS)
DIALECTS = (
    NATIVE,
    Dialect(openai.blueprint, openai.error_body, openai.PREFIXES, openai.ROWS),
    Dialect(documents.blueprint, native.error_body, ("/openapi.json", "/docs", "/redoc")),
)


def dialect_of(path: str) -> Dialect:
    """Return the dialect that formats errors at this path."""
    owned = (dialect for dialect in DIALECTS if path.startswith(dialect.prefixes))
    return next(owned, NATIVE)


def asks_for_rows(method: str, path: str) -> bool:
    """Return whether such a request asks for replies, which need rows."""
    return method == "POST" and any(each.rows and each.rows.fullmatch(path) for each in DIALECTS)
