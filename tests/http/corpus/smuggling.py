"""Requests that hide a second one from a reader that frames the first one differently.

The hidden request is a valid prompt with the id `hidden`. It must never be answered, nor reach the
server behind the proxy: in all these cases it is part of a body, or follows a fault that ends the
connection.
"""

from ..case import (
    AUTHORIZATION,
    GOOD_BODY,
    HIDDEN,
    HOST,
    LAST_CHUNK,
    Case,
    chunk,
    chunked,
    posted,
    sent,
)

SIZE = len(GOOD_BODY)
CHUNKED = b"Transfer-Encoding: chunked"
HIDDEN_REQUEST = sent(GOOD_BODY, HIDDEN)
WRAPPED = chunk(GOOD_BODY) + LAST_CHUNK + HIDDEN_REQUEST


def _smuggled(name: str, raw: bytes, says: str, *allowed: int) -> Case:
    return Case(name=name, says=says, raw=raw, allowed=allowed or (400,))


def _length(value: int) -> bytes:
    return b"Content-Length: %d" % value


CASES = (
    _smuggled(
        "CL.TE",
        posted(LAST_CHUNK + HIDDEN_REQUEST, _length(len(LAST_CHUNK + HIDDEN_REQUEST)), CHUNKED),
        "the first reader counts, the second one unchunks",
    ),
    _smuggled(
        "TE.CL",
        posted(chunk(HIDDEN_REQUEST) + LAST_CHUNK, CHUNKED, _length(5)),
        "the first reader unchunks, the second one counts",
    ),
    _smuggled(
        "TE.TE with a second spelling",
        posted(WRAPPED, CHUNKED, b"Transfer-encoding: x"),
        "one of two codings is unknown to one reader",
    ),
    _smuggled(
        "TE.TE with a space before the colon",
        posted(WRAPPED, b"Transfer-Encoding : chunked", _length(len(WRAPPED))),
        "one reader sees no coding",
    ),
    _smuggled(
        "TE behind a fold",
        posted(WRAPPED, b"X-A: b\r\n Transfer-Encoding: chunked", _length(len(WRAPPED))),
        "one reader sees a header where the other sees a value",
    ),
    _smuggled(
        "TE behind a bare CR",
        posted(WRAPPED, b"X-A: b\rTransfer-Encoding: chunked", _length(len(WRAPPED))),
        "one reader sees a header where the other sees a value",
    ),
    _smuggled(
        "TE behind a bare LF",
        posted(WRAPPED, b"X-A: b\nTransfer-Encoding: chunked", _length(len(WRAPPED))),
        "one reader sees a header where the other sees a value",
    ),
    _smuggled(
        "TE with a vertical tab",
        posted(WRAPPED, b"Transfer-Encoding: \x0bchunked", _length(len(WRAPPED))),
        "one reader strips it",
    ),
    _smuggled(
        "TE with an underscore",
        posted(
            GOOD_BODY + HIDDEN_REQUEST,
            b"Transfer_Encoding: chunked",
            _length(SIZE + len(HIDDEN_REQUEST)),
        ),
        "one reader takes it for a hyphen",
    ),
    _smuggled(
        "CL with an underscore",
        posted(
            GOOD_BODY + HIDDEN_REQUEST,
            b"Content_Length: %d" % SIZE,
            _length(SIZE + len(HIDDEN_REQUEST)),
        ),
        "one reader takes it for a hyphen",
    ),
    _smuggled(
        "CL.CL",
        posted(GOOD_BODY + HIDDEN_REQUEST, _length(SIZE), _length(SIZE + len(HIDDEN_REQUEST))),
        "one reader takes the first length, one the last",
    ),
    _smuggled(
        "CL list",
        posted(
            GOOD_BODY + HIDDEN_REQUEST,
            b"Content-Length: %d, %d" % (SIZE, SIZE + len(HIDDEN_REQUEST)),
        ),
        "one reader takes the first length, one the last",
    ),
    _smuggled(
        "CL with a plus",
        posted(GOOD_BODY + HIDDEN_REQUEST, b"Content-Length: +%d" % SIZE),
        "one reader takes it for nothing",
    ),
    _smuggled(
        "CL in octal",
        posted(HIDDEN_REQUEST, b"Content-Length: 0%o" % len(HIDDEN_REQUEST)),
        "a longer body, cut by no reader of ours",
        400,
        408,
    ),
    _smuggled(
        "CL.0",
        posted(HIDDEN_REQUEST, _length(len(HIDDEN_REQUEST)), line=b"GET /liveness HTTP/1.1"),
        "a GET whose body one reader ignores",
        200,
        400,
    ),
    _smuggled(
        "CL.0 to an unknown path",
        posted(HIDDEN_REQUEST, _length(len(HIDDEN_REQUEST)), line=b"POST /nowhere HTTP/1.1"),
        "a refusal must not leave its body behind as a request",
        404,
    ),
    _smuggled(
        "CL.0 with a wrong method",
        posted(
            HIDDEN_REQUEST, _length(len(HIDDEN_REQUEST)), line=b"PUT /predictions/scripted HTTP/1.1"
        ),
        "a refusal must not leave its body behind as a request",
        405,
    ),
    _smuggled(
        "body over the limit",
        posted(b"a" * 300_000 + HIDDEN_REQUEST, _length(300_000 + len(HIDDEN_REQUEST))),
        "a refusal must not leave its body behind as a request",
        413,
    ),
    _smuggled(
        "chunk size over 32 bits",
        chunked(b"100000000\r\n" + HIDDEN_REQUEST),
        "one reader sees a last chunk",
        400,
        408,
        413,
    ),
    _smuggled(
        "chunk size over 64 bits",
        chunked(b"10000000000000000\r\n" + HIDDEN_REQUEST),
        "one reader sees a last chunk",
        400,
        408,
        413,
    ),
    _smuggled(
        "bare LF in a chunk extension",
        chunked(b"2;\nxx\r\n%x\r\n0\r\n\r\n" % len(HIDDEN_REQUEST) + HIDDEN_REQUEST),
        "one reader ends the size at LF",
    ),
    _smuggled(
        "chunk without its end",
        chunked(b"%x\r\n%s" % (SIZE, GOOD_BODY) + LAST_CHUNK + HIDDEN_REQUEST),
        "one reader does not look for CR LF",
    ),
    _smuggled(
        "broken chunk before it",
        chunked(b"zz\r\n\r\n" + LAST_CHUNK + HIDDEN_REQUEST),
        "where the body ends is unknown",
    ),
    _smuggled(
        "broken chunk that nobody reads",
        posted(b"zz\r\n" + LAST_CHUNK + HIDDEN_REQUEST, CHUNKED, line=b"GET /liveness HTTP/1.1"),
        "where the body ends is unknown",
        200,
        400,
    ),
    _smuggled(
        "headers split by CR LF in a target",
        posted(GOOD_BODY, line=b"GET /liveness HTTP/1.1\r\n\x01" + HIDDEN_REQUEST),
        "a line that is no header",
    ),
    _smuggled(
        "bad request before it",
        b"GET /liveness HTTP/9.9\r\n\r\n" + HIDDEN_REQUEST,
        "nothing behind broken HTTP is believed",
    ),
    _smuggled(
        "missing Host before it",
        posted(HIDDEN_REQUEST, _length(len(HIDDEN_REQUEST)), line=b"POST / HTTP/1.1").replace(
            HOST + b"\r\n", b""
        ),
        "a refusal must not leave its body behind as a request",
    ),
    _smuggled(
        "Upgrade before it",
        posted(
            HIDDEN_REQUEST,
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABk",
            _length(len(HIDDEN_REQUEST)),
            line=b"GET /liveness HTTP/1.1",
        ),
        "no protocol is switched, and the body stays a body",
        200,
        400,
    ),
    _smuggled(
        "Expect before it",
        posted(HIDDEN_REQUEST, b"Expect: 100-continue", _length(len(HIDDEN_REQUEST))),
        "the body stays a body",
    ),
    _smuggled(
        "close before it",
        sent(GOOD_BODY, b"Connection: close") + HIDDEN_REQUEST,
        "nothing is read behind the last request",
        200,
    ),
    _smuggled(
        "Authorization hidden in the body",
        sent(b"\r\n".join([b'{"text": "', HOST, AUTHORIZATION, HIDDEN, b'"}'])),
        "raw line breaks are not JSON",
    ),
)
