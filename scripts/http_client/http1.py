"""A strict parser of one HTTP/1.1 response, fed with bytes as they arrive.

In: the result of `recv`. Out: the pieces of the body, one per chunk if the body is chunked; then
`complete`, or the reason why it never will be. Bodies are chunked, counted or ended by the close.
Anything that two parsers could interpret differently is refused. Knows no sockets and no dialects.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_HEAD = 65_536
MAX_CHUNK = 1_048_576
MAX_SIZE_LINE = 1_024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,15}")


# Plain functions, not bound methods: a reader that holds none of its own methods is freed at once.
_State = Callable[["ResponseReader", bytes, int, list[bytes]], int]


class MalformedResponseError(Exception):
    """The bytes are not an HTTP/1.1 response."""


class ResponseReader:
    """Parses one response; a connection that is kept open gets a new reader each time."""

    __slots__ = ("_left", "_rest", "_state", "complete", "headers", "keep_alive", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.keep_alive = False
        self._state: _State = ResponseReader._head
        self._rest = b""
        self._left = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Parse bytes; return the parts of the body that they contain."""
        if self._rest:
            data = self._rest + data
        parts: list[bytes] = []
        at, before = 0, -1
        while at < len(data) and at != before:
            before, at = at, self._state(self, data, at, parts)
        self._rest = data[at:]
        return parts

    def close(self) -> str | None:
        """Handle the peer's close: None if the body ended properly, otherwise what is missing."""
        if self._state is ResponseReader._until_close:
            self.complete = True
        if self.complete:
            return None
        if self.status:
            return "cut before its end"
        return "closed within the head" if self._rest else "closed without an answer"

    def _head(self, data: bytes, at: int, _parts: list[bytes]) -> int:
        end = data.find(b"\r\n\r\n", at)
        if max(end, len(data) if end < 0 else 0) - at > MAX_HEAD:
            raise MalformedResponseError(f"a head of more than {MAX_HEAD} bytes")
        if end < 0:
            return at
        first, *lines = data[at:end].split(b"\r\n")
        matched = _STATUS.fullmatch(first)
        if matched is None:
            raise MalformedResponseError(f"a status line {first[:60]!r}")
        status = int(matched[2])
        if status == 101:
            raise MalformedResponseError("an unrequested change of protocol")
        if status >= 200:
            self._choose_framing(status, _headers(lines), old=matched[1] == b"0")
        return end + 4

    def _choose_framing(self, status: int, headers: dict[str, str], *, old: bool) -> None:
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None and (old or length is not None or coding.lower() != "chunked"):
            raise MalformedResponseError("an ambiguous body: Transfer-Encoding with other framing")
        if length is not None and not _LENGTH.fullmatch(length):
            raise MalformedResponseError(f"a Content-Length {length[:40]!r}")
        self.status, self.headers = status, headers
        self.keep_alive = not old and "close" not in headers.get("connection", "").lower()
        if status in {204, 304}:
            self._finish()
        elif coding is not None:
            self._state = ResponseReader._chunks
        elif length is not None:
            self._state, self._left = ResponseReader._counted, int(length)
            if not self._left:
                self._finish()
        else:
            self._state, self.keep_alive = ResponseReader._until_close, False

    def _chunks(self, data: bytes, at: int, parts: list[bytes]) -> int:
        while matched := _CHUNK_SIZE.match(data, at):
            size, start = int(matched[1], 16), matched.end()
            end = start + size
            if not size:
                self._state = ResponseReader._trailers
                return start
            if size > MAX_CHUNK:
                raise MalformedResponseError(f"a chunk of {size} bytes; allowed {MAX_CHUNK}")
            if len(data) < end + 2:
                return at
            if data[end : end + 2] != b"\r\n":
                raise MalformedResponseError("a chunk that does not end where its size says")
            parts.append(data[start:end])
            at = end + 2
        if b"\n" in data[at:] or len(data) - at > MAX_SIZE_LINE:
            raise MalformedResponseError(f"a chunk size {data[at : at + 20]!r}")
        return at

    def _trailers(self, data: bytes, at: int, _parts: list[bytes]) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > MAX_HEAD:
                raise MalformedResponseError("an endless trailer")
            return at
        if end == at:
            self._finish()
        else:
            _headers([data[at:end]])
        return end + 2

    def _counted(self, data: bytes, at: int, parts: list[bytes]) -> int:
        part = data[at : at + self._left]
        parts.append(part)
        self._left -= len(part)
        if not self._left:
            self._finish()
        return at + len(part)

    def _until_close(self, data: bytes, at: int, parts: list[bytes]) -> int:
        parts.append(data[at:])
        return len(data)

    def _finish(self) -> None:
        self.complete = True
        self._state = ResponseReader._over

    def _over(self, data: bytes, at: int, _parts: list[bytes]) -> int:
        raise MalformedResponseError(f"{len(data) - at} bytes after its end")


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        matched = _HEADER.fullmatch(line)
        if matched is None:
            raise MalformedResponseError(f"a header line {line[:60]!r}")
        name, value = matched[1].decode("ascii").lower(), matched[2].decode("latin-1")
        if name in headers and name in {"content-length", "transfer-encoding"}:
            raise MalformedResponseError(f"two {name} headers")
        headers[name] = value
    return headers
