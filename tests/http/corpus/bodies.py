"""Bodies with unsupported encodings and content types, and bodies of every size."""

import gzip
import json
import zlib

from ..case import (
    AUTHORIZATION,
    BODY_LIMIT,
    GOOD_BODY,
    HOST,
    LAST_CHUNK,
    Case,
    chunk,
    chunked,
    request,
    sent,
)

PATH = b"POST /predictions/scripted HTTP/1.1"
GOOD_TEXT = GOOD_BODY.decode()
FORM = b"text=Hi&max_tokens=2"
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nHi\r\n--b--\r\n'


def _body(name: str, body: bytes, says: str, *allowed: int, hint: str = "") -> Case:
    return Case(
        name=name, says=says, raw=sent(body), allowed=allowed or (400,), hint=hint, behind=True
    )


def _typed(name: str, content_type: bytes, body: bytes, says: str, *allowed: int) -> Case:
    length = b"Content-Length: %d" % len(body)
    raw = request(PATH, HOST, AUTHORIZATION, b"Content-Type: " + content_type, length, body=body)
    return Case(name=name, says=says, raw=raw, allowed=allowed or (400, 415), behind=True)


def _coded(name: str, coding: bytes, body: bytes, says: str) -> Case:
    raw = sent(body, b"Content-Encoding: " + coding)
    return Case(name=name, says=says, raw=raw, allowed=(415,), hint="Content-Encoding", behind=True)


def _padded(size: int) -> bytes:
    """Return a valid body, padded with white space to `size` bytes."""
    return GOOD_BODY + b" " * (size - len(GOOD_BODY))


_ENCODINGS = (
    _body("byte order mark", b"\xef\xbb\xbf" + GOOD_BODY, "JSON has none", hint="BOM"),
    _body("UTF-16", GOOD_TEXT.encode("utf-16"), "JSON is UTF-8", hint="UTF-8"),
    _body("UTF-16 without a mark", GOOD_TEXT.encode("utf-16-le"), "JSON is UTF-8"),
    _body("UTF-32", GOOD_TEXT.encode("utf-32"), "JSON is UTF-8", hint="UTF-8"),
    _body("Latin-1", '{"text": "é"}'.encode("latin-1"), "JSON is UTF-8", hint="byte 11"),
    _body("UTF-8 cut short", b'{"text": "\xe2\x82"}', "half a character", hint="byte 11"),
    _body("overlong UTF-8", b'{"text": "\xc0\x80"}', "not UTF-8", hint="UTF-8"),
    _body("surrogate in UTF-8", b'{"text": "\xed\xa0\x80"}', "not UTF-8", hint="UTF-8"),
    _body("beyond Unicode", b'{"text": "\xf5\x80\x80\x80"}', "not UTF-8", hint="UTF-8"),
    _body("noise", bytes(range(128, 256)), "not text", hint="UTF-8"),
    _body("gzip, not announced", gzip.compress(GOOD_BODY, mtime=0), "not JSON"),
    _coded("gzip", b"gzip", gzip.compress(GOOD_BODY, mtime=0), "bodies are not unpacked"),
    _coded("gzip bomb", b"gzip", gzip.compress(bytes(1 << 24), mtime=0), "never unpacked"),
    _coded("deflate", b"deflate", zlib.compress(GOOD_BODY), "bodies are not unpacked"),
    _coded("br", b"br", b"\x0b\x02\x80{}\x03", "bodies are not unpacked"),
    _coded("gzip that is not", b"gzip", GOOD_BODY, "says one thing and is another"),
    _coded("gzip twice", b"gzip, gzip", GOOD_BODY, "says one thing and is another"),
    Case(
        name="identity",
        says="a coding that changes nothing",
        raw=sent(GOOD_BODY, b"Content-Encoding: identity"),
        allowed=(200, 415),
        behind=True,
    ),
)

_TYPES = (
    _typed("form", b"application/x-www-form-urlencoded", FORM, "JSON is needed"),
    _typed("form with JSON", b"application/x-www-form-urlencoded", GOOD_BODY, "curl's way", 200),
    _typed("multipart", b"multipart/form-data; boundary=b", MULTIPART, "JSON is needed"),
    _typed("multipart without a boundary", b"multipart/form-data", MULTIPART, "JSON is needed"),
    _typed("text", b"text/plain", b"Hi", "JSON is needed"),
    _typed("image", b"image/png", b"\x89PNG\r\n\x1a\n\0\0", "JSON is needed"),
    _typed("message pack", b"application/msgpack", b"\x81\xa4text\xa2Hi", "JSON is needed"),
    _typed("pickle", b"application/octet-stream", b"\x80\x04cos\nsystem\n.", "JSON is needed"),
    _typed(
        "other charset",
        b"application/json; charset=utf-7",
        b'{"text": "+2D3c-"}',
        "read as UTF-8",
        200,
        415,
    ),
)

_SIZES = (
    _body("just within the limit", _padded(BODY_LIMIT), "allowed", 200),
    _body("just over the limit", _padded(BODY_LIMIT + 1), "one byte too many", 413, hint="bytes"),
    _body("far over the limit", _padded(4 * BODY_LIMIT), "too many", 413, hint="bytes"),
    Case(
        name="chunked, just within the limit",
        says="allowed",
        raw=chunked(chunk(_padded(BODY_LIMIT)) + LAST_CHUNK),
        allowed=(200,),
    ),
    Case(
        name="chunked, just over the limit",
        says="one byte too many",
        raw=chunked(chunk(_padded(BODY_LIMIT + 1)) + LAST_CHUNK),
        allowed=(413,),
        hint="bytes",
    ),
    Case(
        name="chunked, far over the limit, silence",
        says="refused before it ends",
        raw=chunked(chunk(_padded(2 * BODY_LIMIT))),
        allowed=(413,),
        hint="bytes",
    ),
    _body(
        "text of 200 kB",
        json.dumps({"text": "a" * 200_000, "max_tokens": 1}).encode(),
        "more than the context holds",
        200,
        400,
    ),
)

CASES = (*_ENCODINGS, *_TYPES, *_SIZES)
