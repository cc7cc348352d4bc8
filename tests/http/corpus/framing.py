"""Bodies of unclear length: wrong, repeated or contradictory framing headers."""

from ..case import CLOSED, GOOD_BODY, GOOD_CHUNKS, Case, posted

SIZE = len(GOOD_BODY)
CHUNKED = b"Transfer-Encoding: chunked"
OLD = b"POST /predictions/scripted HTTP/1.0"


def _length(name: str, value: bytes, says: str, *allowed: int) -> Case:
    raw = posted(GOOD_BODY, b"Content-Length:" + value)
    return Case(name=f"Content-Length {name}", says=says, raw=raw, allowed=allowed or (400,))


def _coding(name: str, header: bytes, says: str, *allowed: int) -> Case:
    raw = posted(GOOD_CHUNKS, header)
    return Case(name=f"Transfer-Encoding {name}", says=says, raw=raw, allowed=allowed or (400,))


_LENGTHS = (
    _length("negative", b" -1", "digits only"),
    _length("with a plus", b" +%d" % SIZE, "digits only"),
    _length("in hex", b" 0x%x" % SIZE, "digits only"),
    _length("with a point", b" %d.0" % SIZE, "digits only"),
    _length("with an exponent", b" 1e2", "digits only"),
    _length("with an underscore", b" 4_4", "digits only"),
    _length("with a space within", b" 4 4", "digits only"),
    _length("empty", b"", "digits are needed"),
    _length("of letters", b" many", "digits only"),
    _length("of 8-bit digits", b" \xb2\xb3", "digits are ASCII"),
    _length("of UTF-8 digits", " ٤٤".encode(), "digits are ASCII"),
    _length("with NUL", b" %d\0" % SIZE, "digits only"),
    _length("as a list", b" %d, %d" % (SIZE, SIZE), "equal, but a list"),
    _length("as an unequal list", b" %d, 1" % SIZE, "which?"),
    _length("in quotes", b' "%d"' % SIZE, "digits only"),
    _length("of 40 digits", b" " + b"9" * 40, "more than any limit", 400, 413),
    _length("of 5,000 digits", b" " + b"9" * 5000, "more than any limit", 400, 413),
    _length("over the limit", b" 99999999", "more than the body limit", 413),
    _length("with zeros before", b" 000%d" % SIZE, "odd, but its meaning is clear", 200, 400),
    _length("between tabs", b"\t%d\t" % SIZE, "white space around a value is allowed", 200, 400),
    _length("zero", b" 0\r\nConnection: close", "then there is no JSON", 400),
    Case(
        name="Content-Length missing",
        says="a POST without a body",
        raw=posted(b""),
        allowed=(400, 411),
    ),
    Case(
        name="Content-Length twice",
        says="equal, but twice",
        raw=posted(GOOD_BODY, b"Content-Length: %d" % SIZE, b"Content-Length: %d" % SIZE),
    ),
    Case(
        name="Content-Length twice, unequal",
        says="which?",
        raw=posted(GOOD_BODY, b"Content-Length: %d" % SIZE, b"Content-Length: 0"),
    ),
    Case(
        name="Content-Length too large, end",
        says="the client ends before its body does",
        raw=posted(GOOD_BODY, b"Content-Length: %d" % (SIZE + 5)),
        hint="Content-Length",
        ends=True,
    ),
    Case(
        name="Content-Length too large, silence",
        says="the client falls silent within its body",
        raw=posted(GOOD_BODY, b"Content-Length: %d" % (SIZE + 5)),
        allowed=(408,),
        hint="arrive",
    ),
    Case(
        name="Content-Length and no body, end",
        says="the client ends before its body",
        raw=posted(b"", b"Content-Length: %d" % SIZE),
        ends=True,
    ),
    Case(
        name="Content-Length over the limit, silence",
        says="refused before a byte of it has come",
        raw=posted(b"", b"Content-Length: 99999999"),
        allowed=(413,),
        hint="bytes",
    ),
    Case(
        name="Content-Length too small",
        says="the rest of the body is not a request",
        raw=posted(GOOD_BODY, b"Content-Length: 5"),
        answers=2,
    ),
)

_CODINGS = (
    _coding("empty", b"Transfer-Encoding:", "a coding is needed"),
    _coding("unknown", b"Transfer-Encoding: zip", "unknown; 501 would be a lie about the fault"),
    _coding("identity", b"Transfer-Encoding: identity", "no longer exists"),
    _coding("identity, chunked", b"Transfer-Encoding: identity, chunked", "no longer exists"),
    _coding("chunked, identity", b"Transfer-Encoding: chunked, identity", "chunked comes last"),
    _coding("gzip", b"Transfer-Encoding: gzip", "no end can be known"),
    _coding("gzip, chunked", b"Transfer-Encoding: gzip, chunked", "we do not unpack"),
    _coding("chunked, gzip", b"Transfer-Encoding: chunked, gzip", "chunked comes last"),
    _coding("gzip and then chunked", b"Transfer-Encoding: gzip\r\n" + CHUNKED, "we do not unpack"),
    _coding("chunked, chunked", b"Transfer-Encoding: chunked, chunked", "once at most"),
    _coding("chunked twice", CHUNKED + b"\r\n" + CHUNKED, "once at most"),
    _coding("with a parameter", b"Transfer-Encoding: chunked;a=b", "it has none"),
    _coding("in quotes", b'Transfer-Encoding: "chunked"', "a token, not a string"),
    _coding("misspelt", b"Transfer-Encoding: chunkedd", "unknown"),
    _coding("x-chunked", b"Transfer-Encoding: x-chunked", "unknown"),
    _coding("with NUL", b"Transfer-Encoding: chunked\0", "not allowed in values"),
    _coding("after a vertical tab", b"Transfer-Encoding:\x0bchunked", "not white space here"),
    _coding("folded", b"Transfer-Encoding:\r\n chunked", "folding is obsolete"),
    _coding("spelt with a space", b"Transfer-Encoding : chunked", "the name ends at the colon"),
    _coding("after a comma", b"Transfer-Encoding: , chunked", "an empty coding", 200, 400),
    _coding("in capitals", b"Transfer-Encoding: CHUNKED", "codings ignore case", 200),
    Case(
        name="Transfer-Encoding in HTTP/1.0",
        says="unknown there",
        raw=posted(GOOD_CHUNKS, CHUNKED, line=OLD),
    ),
    Case(
        name="Transfer-Encoding and keep-alive in HTTP/1.0",
        says="unknown there",
        raw=posted(GOOD_CHUNKS, CHUNKED, b"Connection: keep-alive", line=OLD),
    ),
    Case(
        name="no length in HTTP/1.0",
        says="a request cannot end with its connection",
        raw=posted(GOOD_BODY, line=OLD),
        allowed=(400, 411, CLOSED),
        ends=True,
    ),
    Case(
        name="Content-Length and Transfer-Encoding",
        says="a classic of smuggling",
        raw=posted(GOOD_CHUNKS, b"Content-Length: %d" % len(GOOD_CHUNKS), CHUNKED),
    ),
    Case(
        name="Transfer-Encoding and Content-Length",
        says="the same, in the other order",
        raw=posted(GOOD_CHUNKS, CHUNKED, b"Content-Length: %d" % len(GOOD_CHUNKS)),
    ),
    Case(
        name="Transfer-Encoding and an empty Content-Length",
        says="two lengths, one of them nothing",
        raw=posted(GOOD_CHUNKS, CHUNKED, b"Content-Length:"),
    ),
)

CASES = (*_LENGTHS, *_CODINGS)
