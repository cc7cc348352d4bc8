"""Header blocks that are broken, ambiguous, too large or forged."""

from ..case import (
    AUTHORIZATION,
    CLOSED,
    GOOD_BODY,
    HOST,
    Case,
    asked,
    posted,
    request,
    sent,
)

ALIVE = b"GET /liveness HTTP/1.1"


def _header(name: str, header: bytes, says: str, *allowed: int) -> Case:
    return Case(name=name, says=says, raw=asked(ALIVE, header), allowed=allowed or (400,))


def _host(name: str, header: bytes, says: str, *allowed: int) -> Case:
    return Case(name=name, says=says, raw=request(ALIVE, header), allowed=allowed or (400,))


_HOSTS = (
    Case(name="no Host", says="HTTP/1.1 needs one", raw=request(ALIVE), hint="Host"),
    Case(
        name="no Host in HTTP/1.0",
        says="HTTP/1.0 knows none",
        raw=request(b"GET /liveness HTTP/1.0"),
        allowed=(200,),
    ),
    Case(
        name="no Host in HTTP/1.2",
        says="a minor version that is to come obeys the rules of 1.1",
        raw=request(b"GET /liveness HTTP/1.2"),
    ),
    _host("two equal Hosts", HOST + b"\r\n" + HOST, "one is the rule"),
    _host("two different Hosts", HOST + b"\r\nHost: evil.test", "one is the rule"),
    _host("Host list", b"Host: rowcast.test, evil.test", "a Host is no list"),
    _host("empty Host", b"Host:", "lawful where a target has no authority", 200, 400),
    _host("Host with a space", b"Host: rowcast test", "not a host"),
    _host("Host with a slash", b"Host: rowcast.test/liveness", "not a host"),
    _host("Host with a user", b"Host: user@rowcast.test", "not a host"),
    _host("Host with a query", b"Host: rowcast.test?a", "not a host"),
    _host("Host with a port of letters", b"Host: rowcast.test:http", "not a port"),
    _host("Host with two ports", b"Host: rowcast.test:80:80", "not a host"),
    _host("Host of 8-bit letters", b"Host: rowc\xe4st.test", "not a host"),
    _host("Host with NUL", b"Host: rowcast\0.test", "not a host"),
    _host("Host with an open bracket", b"Host: [::1", "not an IPv6 address"),
    _host("Host spelt with a space", b"Host : rowcast.test", "no space before the colon"),
)

_SYNTAX = (
    _header("space before the colon", b"X-A : b", "the name ends at the colon"),
    _header("tab before the colon", b"X-A\t: b", "the name ends at the colon"),
    _header("space before the name", b" X-A: b", "reads as a folded line"),
    _header("tab before the name", b"\tX-A: b", "reads as a folded line"),
    _header("folded value", b"X-A: b\r\n c", "folding is obsolete"),
    _header("folded Content-Length", b"Content-Length: 1\r\n 0", "folding is obsolete"),
    _header("no colon", b"X-A b", "a header has a colon"),
    _header("no name", b": b", "a header has a name"),
    _header("colon alone", b":", "a header has a name"),
    _header("NUL in the name", b"X-\0A: b", "a name is a token"),
    _header("NUL in the value", b"X-A: b\0c", "not allowed in values"),
    _header("control character in the value", b"X-A: b\x01c", "not allowed in values"),
    _header("DEL in the value", b"X-A: b\x7fc", "not allowed in values"),
    _header("vertical tab in the value", b"X-A: b\x0bc", "not allowed in values"),
    _header("bare CR in the value", b"X-A: b\rX-B: c", "would split the header elsewhere"),
    _header("bare LF in the value", b"X-A: b\nX-B: c", "would split the header elsewhere"),
    _header("CR CR LF", b"X-A: b\r", "a stray CR"),
    _header("LF CR LF", b"X-A: b\n", "a stray LF"),
    _header("8-bit name", b"X-\xc4: b", "a name is ASCII"),
    _header("UTF-8 name", "X-Ä: b".encode(), "a name is ASCII"),
    _header("name in parentheses", b"(X-A): b", "a name is a token"),
    _header("quoted name", b'"X-A": b', "a name is a token"),
    _header("name with a comma", b"X,A: b", "a name is a token"),
    _header("8-bit value", b"X-A: \xe9\xff", "opaque, but allowed", 200),
    _header("empty value", b"X-A:", "allowed", 200),
    _header("request line again", ALIVE, "not a header"),
    Case(
        name="folded first line",
        says="there is nothing that it could continue",
        raw=request(ALIVE, b" X-A: b", HOST),
    ),
    Case(
        name="headers end in LF",
        says="lines end in CR LF",
        raw=ALIVE + b"\r\nHost: rowcast.test\n\n",
    ),
    Case(
        name="header cut short",
        says="the client ends within its headers",
        raw=ALIVE + b"\r\nHost: rowc",
        allowed=(400, 408, CLOSED),
        ends=True,
    ),
    Case(
        name="headers never ended",
        says="the client falls silent within its headers",
        raw=ALIVE + b"\r\nHost: rowcast.test\r\n",
        allowed=(400, 408, CLOSED),
    ),
)

_SIZES = (
    _header("value of 10 kB", b"X-A: " + b"a" * 10_000, "longer than a header may be", 431),
    _header("name of 10 kB", b"X-" + b"A" * 10_000 + b": b", "longer than a header may be", 431),
    _header("cookie of 10 kB", b"Cookie: a=" + b"a" * 10_000, "longer than a header may be", 431),
    _header("150 headers", b"\r\n".join([b"X-A: b"] * 150), "more than a request may have", 431),
    _header(
        "150 headers dropped",
        b"\r\n".join([b"X_A: b"] * 150),
        "more lines than allowed",
        200,
        400,
        431,
    ),
    Case(
        name="endless headers",
        says="a megabyte of headers without an end",
        raw=ALIVE + b"\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * 1000,
        allowed=(400, 431),
    ),
    Case(
        name="endless header",
        says="a megabyte in one header without an end",
        raw=ALIVE + b"\r\nX-A: " + b"a" * (1 << 20),
        allowed=(400, 431),
    ),
)

_MEANING = (
    _header("underscored header", b"X_A: b", "ambiguous in CGI terms", 200, 400),
    _header(
        "underscored twin",
        b"X-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 2.2.2.2",
        "a trick",
        200,
        400,
    ),
    _header("SCRIPT_NAME", b"SCRIPT_NAME: /predictions", "would move the path", 200, 400),
    _header("PATH_INFO", b"PATH_INFO: /predictions/scripted", "would move the path", 200, 400),
    _header("REMOTE_USER", b"REMOTE_USER: root", "would name a user", 200, 400),
    _header(
        "contradictory schemes",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off",
        "which?",
        200,
        400,
    ),
    _header("forged address", b"X-Forwarded-For: '; DROP TABLE users", "text", 200),
    _header("forged secret", b"X-Rowcast-Proxy-Secret: \xe9\xff", "not the secret", 200),
    _header("forged team", b"X-Rowcast-Team: %zz%", "nobody's word", 200),
    _header("request id of junk", b"X-Request-ID: a b\"'<>", "a fresh one is made", 200),
    _header("Range", b"Range: bytes=-99999999999999999999", "there are no ranges", 200),
    _header("dates of junk", b"If-Modified-Since: yesterday\r\nDate: now", "ignored", 200),
    _header("conditional", b"If-Match: *\r\nIf-None-Match: *", "ignored", 200, 304, 412),
    _header("Accept of junk", b"Accept: ;;;q=9,,/", "ignored", 200, 406),
    _header("Connection of junk", b"Connection: host, authorization, ,,;", "hop by hop", 200, 400),
    _header("Connection both ways", b"Connection: close, keep-alive", "the end wins", 200, 400),
    _header("Cookie of junk", b"Cookie: =;;==\xff", "ignored", 200),
    Case(
        name="two Content-Types",
        says="one is the rule",
        raw=sent(GOOD_BODY, b"Content-Type: text/plain"),
    ),
    Case(
        name="Content-Type of junk",
        says="a body is read as JSON, whatever it is called",
        raw=request(
            b"POST /predictions/scripted HTTP/1.1",
            HOST,
            AUTHORIZATION,
            b"Content-Type: ;;/charset==",
            b"Content-Length: %d" % len(GOOD_BODY),
            body=GOOD_BODY,
        ),
        allowed=(200, 415),
    ),
    Case(
        name="underscored Content-Length",
        says="is not one: the body has no length",
        raw=posted(b"", b"Content_Length: 10"),
    ),
    Case(
        name="two Authorizations",
        says="the server does not look; the proxy refuses",
        raw=sent(GOOD_BODY, AUTHORIZATION),
        allowed=(200,),
        at_proxy=(400, 401),
    ),
    Case(
        name="Authorization of junk",
        says="the server does not look; the proxy refuses",
        raw=request(
            b"POST /predictions/scripted HTTP/1.1",
            HOST,
            b"Authorization: Bearer \xff\xfe..",
            b"Content-Length: %d" % len(GOOD_BODY),
            body=GOOD_BODY,
        ),
        allowed=(200,),
        at_proxy=(401,),
    ),
)

CASES = (*_HOSTS, *_SYNTAX, *_SIZES, *_MEANING)
