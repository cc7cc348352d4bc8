"""Incremental decoders for the two framings that mark where a response body ends.

In: bytes from the socket, in pieces of any size. Out: body bytes, and `finished`. All chunks that
have arrived are returned as one piece; none is held back. Bytes after the end are dropped.
Malformed input raises `BadFraming`. Knows no sockets.
"""

import re
from typing import Final, Protocol

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_LONGEST_LINE: Final = 4096
_LONGEST_TRAILERS: Final = 16384


class BadFraming(Exception):
    """The bytes do not follow the framing that the head announced."""


class Decoder(Protocol):
    finished: bool

    def feed(self, data: bytes) -> bytes: ...


class LengthDecoder:
    """A body of known length; 0 for responses without a body."""

    def __init__(self, length: int) -> None:
        self._missing = length
        self.finished = length == 0

    def feed(self, data: bytes) -> bytes:
        body = data[: self._missing]
        self._missing -= len(body)
        self.finished = self._missing == 0
        return body


class ChunkedDecoder:
    """A chunked body.

    `_at` is the read position in the buffer; `_missing` is the number of bytes that the current
    chunk still lacks, including its CRLF.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._missing = 0
        self._trailers_seen: int | None = None
        self.finished = False

    def feed(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        self._buffer = self._buffer + data if self._buffer else data
        while self._at < len(self._buffer) and self._advance(pieces):
            pass
        self._buffer = self._buffer[self._at :]
        self._at = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _advance(self, pieces: list[bytes]) -> bool:
        """Consume one element of the buffer; False if it is incomplete, or the body has ended."""
        if self._missing:
            return self._take_data(pieces)
        line = self._take_line()
        if line is None:
            return False
        if self._trailers_seen is None:
            self._open_chunk(line)
        else:
            self._pass_trailer(line)
        return not self.finished

    def _take_data(self, pieces: list[bytes]) -> bool:
        at, end = self._at, self._at + self._missing
        if len(self._buffer) < end:
            return self._take_part(pieces)
        if self._buffer[end - 2 : end] != b"\r\n":
            raise BadFraming("a chunk does not end where its size says")
        if at < end - 2:
            pieces.append(self._buffer[at : end - 2])
        self._at, self._missing = end, 0
        return True

    def _take_part(self, pieces: list[bytes]) -> bool:
        """Release the part of a chunk's data that has arrived, without its CRLF."""
        ready = min(len(self._buffer) - self._at, self._missing - 2)
        if ready > 0:
            pieces.append(self._buffer[self._at : self._at + ready])
            self._at += ready
            self._missing -= ready
        return False

    def _take_line(self) -> bytes | None:
        at = self._at
        end = self._buffer.find(b"\r\n", at)
        if (end if end >= 0 else len(self._buffer)) - at > _LONGEST_LINE:
            raise BadFraming("a line within the chunked body is too long")
        if end < 0:
            return None
        self._at = end + 2
        return self._buffer[at:end]

    def _open_chunk(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise BadFraming("a chunk has no size")
        size = int(found[1], 16)
        if size:
            self._missing = size + 2
        else:
            self._trailers_seen = 0

    def _pass_trailer(self, line: bytes) -> None:
        if not line:
            self.finished = True
            return
        self._trailers_seen = (self._trailers_seen or 0) + len(line)
        if self._trailers_seen > _LONGEST_TRAILERS:
            raise BadFraming("the trailers are too long")
