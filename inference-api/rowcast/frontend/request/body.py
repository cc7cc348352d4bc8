"""Reads a request's body, complete and in time, as one strict JSON object.

In: werkzeug's request, whose body `rowcast_http.body` reads. Out: a dict, or a RequestError that
says what to change. The Content-Type is ignored: curl sends JSON with a form's type.

Parsing blocks every other stream of the process, so its time is bounded: nothing takes more than
linear time, and both the bytes and the number of values of a body are limited.
"""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from werkzeug.wrappers import Request

from rowcast.errors import BodyTimeout, BodyTooLarge, CodedBody, MalformedRequest, Overloaded
from rowcast.text import bounded_json
from rowcast.text.bounded_json import DEPTH
from rowcast_http.body import BodyReader

_MALFORMED = "Malformed JSON request body"
_READ = "rowcast.body_read"
_DIGITS = 1000
_LONG_RUN = b"0" * (_DIGITS + 1)
_AS_ZERO = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
# Limits of a body, and the characters outside its strings by which they are counted.
_MOST = (
    (",", "values", 500_000),
    (":", "names", 100_000),
    ("[{", "lists and objects", 50_000),
    (".eE", "fractions, exponents and booleans", 50_000),  # a fraction takes as long as 4 integers
)
_STRING = re.compile(r'"[^"]*+"?')
_MOST_STRINGS = 600_000  # values and names
_EXACT = 2**53  # below, a float with an integral value is exactly that integer


class _BodyErrors:
    def too_large(self, limit: int, announced: int | None) -> Exception:
        if announced is not None:
            return BodyTooLarge(f"the body has {announced} bytes; the limit is {limit}")
        return BodyTooLarge(f"the body exceeds the limit of {limit} bytes")

    def too_slow(self, seconds: float) -> Exception:
        return BodyTimeout(f"the body did not arrive within {seconds:g} s; send it faster")

    def cut_short(self, received: int, announced: int) -> Exception:
        return MalformedRequest(
            f"the body ended after {received} bytes; its Content-Length is {announced}"
        )

    def broken(self) -> Exception:
        return MalformedRequest("the chunked encoding of the body is malformed or incomplete")

    def no_room(self) -> Exception:
        return Overloaded(
            "the request bodies in memory have reached the limit (BODIES_BYTES, of which one "
            "team gets half); send fewer large requests at once, or try again later"
        )


def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Read the body; its length must be as announced."""
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise CodedBody(f"Content-Encoding is {coding[:40]!r}; send the body uncompressed")
    stream = request.environ["wsgi.input"]
    share = getattr(stream, "share", None)  # only a server's requests have one
    body = BodyReader(limit, seconds, _BodyErrors()).read(stream, request.content_length, share)
    request.environ[_READ] = True
    return bytes(body)


def leave_unread(request: Request) -> None:
    """End the connection with this answer if the body is unread: its end is unknown."""
    environ = request.environ
    has_body = request.content_length or "HTTP_TRANSFER_ENCODING" in environ
    end_connection = getattr(environ["wsgi.input"], "end_connection", None)
    if has_body and _READ not in environ and end_connection is not None:
        end_connection()


def parse_object(body: bytes, *, plain: bool = False) -> dict[str, Any]:
    """Parse strict JSON: one object, UTF-8, no duplicate names, no text that is not Unicode.

    `plain`: JSON's own numbers, where 1.0 is 1 and NaN is refused. Otherwise numbers are left to
    the code that reads the field and can name it.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"{_MALFORMED}: byte {error.start + 1} is not UTF-8") from error
    _check_size(text)
    try:
        value = bounded_json.loads(
            text,
            object_pairs_hook=_without_repetition,
            parse_int=_whole if _has_long_run(body) else None,
            parse_float=_number if plain else float,
            parse_constant=_no_constant if plain else float,
        )
    except json.JSONDecodeError as error:
        _refuse(error, text)
    except ValueError as error:
        raise MalformedRequest(f"{_MALFORMED}: {error}") from error
    if not isinstance(value, dict):
        raise MalformedRequest(f"{_MALFORMED}: expected an object, such as {{...}}")
    return value


def _check_size(text: str) -> None:
    """Refuse a text that would take long to parse, whatever its length."""
    if not _excess(text):
        return
    bare = text.replace("\\\\", "").replace('\\"', "")  # each quote now begins or ends a string
    bare, strings = _STRING.subn("", bare, count=_MOST_STRINGS)
    excess = "values or names" if strings == _MOST_STRINGS else _excess(bare)
    if excess and _begins_deep(bare):
        raise MalformedRequest(f"{_MALFORMED}: nested too deeply; the limit is {DEPTH} levels")
    if excess:
        raise MalformedRequest(f"{_MALFORMED}: it contains too many {excess}; {_allowed()}")


def _begins_deep(bare: str) -> bool:
    """Return whether the text is nested too deeply, as far as its beginning shows."""
    depth = 0
    for mark in bare[: 8 * DEPTH]:
        depth += (mark in "[{") - (mark in "]}")
        if depth > DEPTH:
            return True
    return False


def _excess(text: str) -> str:
    """Return what there is too much of; "" if this text is within all limits."""
    for marks, what, most in _MOST:
        if sum(map(text.count, marks)) >= most:
            return what
    return ""


def _allowed() -> str:
    return "the limits are " + ", ".join(f"{most} {what}" for _, what, most in _MOST)


def _has_long_run(body: bytes) -> bool:
    """Return whether an integer may be too long; if not, json's own parser is ten times faster."""
    return _LONG_RUN in body.translate(_AS_ZERO)


def _refuse(error: json.JSONDecodeError, text: str) -> NoReturn:
    if not text.strip():
        raise MalformedRequest(f"{_MALFORMED}: it is empty; send a JSON object") from error
    where = f"line {error.lineno}, column {error.colno}"
    problem = error.msg.removesuffix(" at")
    raise MalformedRequest(f"{_MALFORMED}: {problem} at {where}") from error


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; the limit is {_DIGITS}")
    return int(digits)


def _number(written: str) -> float:
    number = float(written)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid in JSON")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, _ in pairs if counts[name] > 1)
        raise ValueError(f"the name {twice[:40]!r} appears twice")
    return found
