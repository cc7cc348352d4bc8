"""Malformed chunked bodies: sizes, extensions, ends, trailers."""

from ..case import BODY_LIMIT, GOOD_BODY, GOOD_CHUNKS, LAST_CHUNK, Case, asked, chunk, chunked

HALF, REST = GOOD_BODY[:10], GOOD_BODY[10:]
SIZE = len(GOOD_BODY)


def _chunks(name: str, body: bytes, says: str, *allowed: int, ends: bool = False) -> Case:
    raw = chunked(body)
    return Case(name=name, says=says, raw=raw, allowed=allowed or (400,), ends=ends)


def _size(name: str, line: bytes, says: str, *allowed: int) -> Case:
    return _chunks(
        f"size {name}", line + b"\r\n" + GOOD_BODY + b"\r\n" + LAST_CHUNK, says, *allowed
    )


def _trailer(name: str, line: bytes, says: str, *allowed: int) -> Case:
    return _chunks(
        f"trailer {name}", chunk(GOOD_BODY) + b"0\r\n" + line + b"\r\n\r\n", says, *allowed
    )


_SIZES = (
    _size("in 0x form", b"0x%x" % SIZE, "hex digits only"),
    _size("negative", b"-%x" % SIZE, "hex digits only"),
    _size("with a plus", b"+%x" % SIZE, "hex digits only"),
    _size("of letters", b"many", "hex digits only"),
    _size("empty", b"", "digits are needed"),
    _size("after a space", b" %x" % SIZE, "nothing stands before it"),
    _size("before a space", b"%x " % SIZE, "nothing stands after it but an extension"),
    _size("with an underscore", b"2_c", "hex digits only"),
    _size("of 8-bit digits", b"\xb2\xb3", "digits are ASCII"),
    _size("with NUL", b"%x\0" % SIZE, "hex digits only"),
    _size("with a bare CR", b"%x\ra" % SIZE, "hex digits only"),
    _size("with zeros before", b"0000%x" % SIZE, "odd, but its meaning is clear", 200, 400),
    _size("too small", b"%x" % (SIZE - 5), "the chunk does not end there"),
    _size("a little too large", b"%x" % (SIZE + 1), "the chunk does not end there"),
    _size("over 64 bits", b"1%016x" % SIZE, "would wrap around in 64 bits", 400, 408, 413),
    _size("over 32 bits", b"1%08x" % SIZE, "would wrap around in 32 bits", 400, 408, 413),
    _size("of 1,000 digits", b"f" * 1000, "more than any limit", 400, 408, 413),
    _size("line of 10 kB", b"0" * 10_000 + b"%x" % SIZE, "longer than a line may be", 200, 400),
    _size("line without end", b"%x;" % SIZE + b"a" * 20_000, "longer than a line may be", 200, 400),
    _chunks(
        "size over 64 bits, end", b"1%016x\r\n" % SIZE + GOOD_BODY, "and then the end", ends=True
    ),
)

_EXTENSIONS = (
    _size("and extension", b"%x;a=b" % SIZE, "lawful, ignored", 200),
    _size("and quoted extension", b'%x;a="b;c"' % SIZE, "lawful, ignored", 200),
    _size("and empty extension", b"%x;" % SIZE, "an extension has a name"),
    _size("and unquoted junk", b"%x;a=b c{}" % SIZE, "a value is a token"),
    _size("and open quote", b'%x;a="b' % SIZE, "the quote is not closed"),
    _size("and NUL", b"%x;a=\0" % SIZE, "a value is a token"),
    _size("and bare CR", b"%x;a\r=b" % SIZE, "a line ends in CR LF"),
    _size("and bare LF", b"%x;a\n" % SIZE, "a line ends in CR LF"),
    _size("and a comma", b"%x,%x" % (SIZE, SIZE), "not an extension"),
)

_ENDS = (
    _chunks(
        "no CR LF after a chunk", b"%x\r\n%s0\r\n\r\n" % (SIZE, GOOD_BODY), "a chunk ends in CR LF"
    ),
    _chunks(
        "LF after a chunk", b"%x\r\n%s\n0\r\n\r\n" % (SIZE, GOOD_BODY), "a chunk ends in CR LF"
    ),
    _chunks(
        "junk after a chunk", b"%x\r\n%sXX0\r\n\r\n" % (SIZE, GOOD_BODY), "a chunk ends in CR LF"
    ),
    _chunks("LF after a size", b"%x\n%s\r\n0\r\n\r\n" % (SIZE, GOOD_BODY), "a line ends in CR LF"),
    _chunks("only LF", b"%x\n%s\n0\n\n" % (SIZE, GOOD_BODY), "lines end in CR LF", 400, 408),
    _chunks("no last chunk, end", chunk(GOOD_BODY), "the client ends within its body", ends=True),
    _chunks("no last chunk, silence", chunk(GOOD_BODY), "the client falls silent", 408),
    _chunks(
        "last chunk cut, end", chunk(GOOD_BODY) + b"0\r\n", "the trailers have no end", ends=True
    ),
    _chunks(
        "last chunk cut, silence", chunk(GOOD_BODY) + b"0\r\n", "the trailers have no end", 408
    ),
    _chunks("size cut, end", chunk(HALF) + b"2", "the client ends within a size", ends=True),
    _chunks(
        "chunk cut, end",
        chunk(HALF) + b"ff\r\n" + REST,
        "the client ends within a chunk",
        ends=True,
    ),
    _chunks("nothing, end", b"", "the client ends before its body", ends=True),
    _chunks("nothing, silence", b"", "the client falls silent before its body", 408),
    _chunks("last chunk only", LAST_CHUNK, "an empty body is not JSON"),
    _chunks("not chunked at all", GOOD_BODY, "there is no size", 400, 408),
    _chunks(
        "over the limit", chunk(b" " * (BODY_LIMIT + 1)) + GOOD_CHUNKS, "more than the limit", 413
    ),
    _chunks(
        "over the limit in pieces",
        chunk(b" " * 1000) * 300 + GOOD_CHUNKS,
        "more than the limit",
        413,
    ),
    _chunks(
        "one byte a chunk",
        b"".join(chunk(GOOD_BODY[i : i + 1]) for i in range(SIZE)) + LAST_CHUNK,
        "lawful",
        200,
    ),
)

_TRAILERS = (
    _trailer("lawful", b"X-A: b", "allowed", 200),
    _trailer("Content-Length", b"Content-Length: 5", "may not come so late"),
    _trailer("Transfer-Encoding", b"Transfer-Encoding: chunked", "may not come so late"),
    _trailer("Host", b"Host: evil.test", "may not come so late"),
    _trailer("Authorization", b"Authorization: Bearer x", "may not come so late"),
    _trailer("without a colon", b"X-A b", "a trailer has a colon"),
    _trailer("folded", b"X-A: b\r\n c", "folding is obsolete"),
    _trailer("with NUL", b"X-A: \0", "not allowed in values"),
    _trailer("with a bare LF", b"X-A: b\nX-B: c", "a line ends in CR LF"),
    _trailer(
        "of identity", b"X-Rowcast-Team: evil\r\nX-Request-ID: hidden", "is not believed", 200, 400
    ),
    _trailer("times 200", b"\r\n".join([b"X-A: b"] * 200), "more than a request may have"),
    _chunks(
        "endless trailers",
        chunk(GOOD_BODY) + b"0\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * 1000,
        "no end",
        400,
    ),
)

_UNREAD = (
    Case(
        name="body after the end",
        says="half a body is not JSON, and the other half is not a request",
        raw=chunked(chunk(HALF) + LAST_CHUNK + chunk(REST)),
        answers=2,
    ),
    Case(
        name="broken chunks that nobody reads",
        says="a GET with a broken body gets one answer",
        raw=asked(b"GET /liveness HTTP/1.1", b"Transfer-Encoding: chunked") + b"zz\r\n\r\n",
        allowed=(200, 400),
    ),
    Case(
        name="broken chunks to an unknown path",
        says="one answer, though the body is broken too",
        raw=asked(b"POST /nowhere HTTP/1.1", b"Transfer-Encoding: chunked") + b"zz\r\n\r\n",
        allowed=(404, 400),
    ),
    Case(
        name="broken trailers that nobody reads",
        says="a GET with a broken body gets one answer",
        raw=asked(b"GET /liveness HTTP/1.1", b"Transfer-Encoding: chunked")
        + b"0\r\nHost: evil\r\n\r\n",
        allowed=(200, 400),
    ),
)

CASES = (*_SIZES, *_EXTENSIONS, *_ENDS, *_TRAILERS, *_UNREAD)
