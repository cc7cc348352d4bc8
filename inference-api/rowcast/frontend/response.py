"""The response to one request, as a value: what a dialect returns.

`app.py` turns it into the web framework's own; other callers read it as it is. A caller that reads
an iterator of chunks must call `close` afterwards, even if it stops early.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Self

CONTENT_TYPE = "Content-Type"
JSON = "application/json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Status, headers in their order, and body: all bytes at once, or an iterator of chunks."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {CONTENT_TYPE: HTML})
    close: Callable[[], None] = lambda: None  # called when the body was sent, or will not be

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a copy with more headers."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Chunks:
    """Chunks to be iterated, and what is called once they were sent, or will not be."""

    chunks: Iterator[bytes]
    close: Callable[[], None]

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


def whole(body: bytes, content_type: str, status: int = 200) -> Response:
    """Answer with these bytes."""
    headers = {CONTENT_TYPE: content_type, "Content-Length": str(len(body))}
    return Response(body=body, status=status, headers=headers)


def closed_once_sent(make: Callable[[], Response], close: Callable[[], None]) -> Response:
    """Return what `make` returns; `close` is called once that was sent, or if `make` raises."""
    with ExitStack() as closing:
        closing.callback(close)
        return replace(make(), close=closing.pop_all().close)


def json_response(data: object, status: int = 200) -> Response:
    """Answer with JSON in one canonical form: names sorted, ASCII, one line."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return whole(f"{text}\n".encode(), JSON, status)
