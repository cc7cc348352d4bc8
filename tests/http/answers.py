"""Parses the bytes received on a connection: all HTTP/1 answers in them, strictly.

In: every byte received, and whether the connection has ended. Out: the final answers in order
(interim ones, 1xx, are skipped), each complete; anything else raises `NotHTTP`. Shares no code with
the servers under test.
"""

import json
import re
from dataclasses import dataclass

_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2}) [\x20-\x7e]*")
_FIELD = re.compile(rb"([A-Za-z0-9-]+): ([\x20-\x7e]*)")
_BODILESS = {204, 304}


class NotHTTP(Exception):
    """The bytes received are not a sequence of HTTP answers."""


class Incomplete(Exception):
    """The answer is not complete yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")

    @property
    def last(self) -> bool:
        """True if it announces that the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"

    def json(self) -> object:
        return json.loads(self.body)


def read_answers(received: bytes, *, ended: bool, bodiless: bool = False) -> list[Answer]:
    """Return the final answers in `received`; `bodiless` if the first of them answers a HEAD."""
    answers: list[Answer] = []
    while received:
        answer, received = _read_one(received, ended, bodiless and not answers)
        if answer.status >= 200:
            answers.append(answer)
    return answers


def _read_one(received: bytes, ended: bool, bodiless: bool) -> tuple[Answer, bytes]:
    block, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        raise _short(ended, "a head")
    status, headers = _read_head(block)
    if status < 200 or status in _BODILESS or bodiless:
        return Answer(status, headers, b""), rest
    body, rest = _read_body(headers, rest, ended)
    return Answer(status, headers, body), rest


def _read_head(block: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = block.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise NotHTTP(f"no status line: {first[:200]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        name = field[1].decode().lower() if field else ""
        if field is None or name in headers:
            raise NotHTTP(f"a bad or repeated header: {line[:200]!r}")
        headers[name] = field[2].decode()
    return int(found[1]), headers


def _read_body(headers: dict[str, str], rest: bytes, ended: bool) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding") == "chunked":
        return _read_chunks(rest, ended)
    if "content-length" in headers:
        length = int(headers["content-length"])
        if len(rest) < length:
            raise _short(ended, "a body")
        return rest[:length], rest[length:]
    if not ended:
        raise Incomplete
    return rest, b""


def _read_chunks(rest: bytes, ended: bool) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, end, after = rest.partition(b"\r\n")
        length = int(size, 16) if end else 0
        if not end or len(after) < length + 2:
            raise _short(ended, "a chunk")
        if after[length : length + 2] != b"\r\n":
            raise NotHTTP(f"a chunk without its end: {after[length : length + 20]!r}")
        body, rest = body + after[:length], after[length + 2 :]
        if not length:
            return body, rest


def _short(ended: bool, what: str) -> Exception:
    return NotHTTP(f"the connection ended within {what}") if ended else Incomplete()
