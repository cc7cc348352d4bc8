"""Request lines that HTTP does not allow: method, spaces, version, line end."""

from ..case import CLOSED, Case, asked


def _line(name: str, line: bytes, says: str, *allowed: int) -> Case:
    return Case(name=name, says=says, raw=asked(line), allowed=allowed or (400,))


CASES = (
    _line("lower-case method", b"get /liveness HTTP/1.1", "methods are in capitals"),
    _line("mixed-case method", b"Get /liveness HTTP/1.1", "methods are in capitals"),
    _line("NUL in the method", b"GE\0T /liveness HTTP/1.1", "a method is a token"),
    _line("8-bit method", b"G\xcbT /liveness HTTP/1.1", "a method is ASCII"),
    _line("UTF-8 method", "GÉT /liveness HTTP/1.1".encode(), "a method is ASCII"),
    _line("method with a slash", b"GET/ /liveness HTTP/1.1", "a method is a token"),
    _line("method with a colon", b"GET: /liveness HTTP/1.1", "a method is a token"),
    _line("quoted method", b'"GET" /liveness HTTP/1.1', "a method is a token"),
    _line("empty method", b" /liveness HTTP/1.1", "the method is missing"),
    _line("method of 300 letters", b"G" * 300 + b" /liveness HTTP/1.1", "no such method is known"),
    _line("method alone", b"GET", "target and version are missing"),
    _line("method and a space", b"GET ", "target and version are missing"),
    _line("version alone", b"HTTP/1.1", "method and target are missing"),
    _line("answer as a request", b"HTTP/1.1 200 OK", "this is a status line"),
    _line("version first", b"HTTP/1.1 /liveness GET", "the three parts are in the wrong order"),
    _line("tab after the method", b"GET\t/liveness HTTP/1.1", "a space is needed"),
    _line("tab before the version", b"GET /liveness\tHTTP/1.1", "a space is needed"),
    _line("all tabs", b"GET\t/liveness\tHTTP/1.1", "spaces are needed"),
    _line("two spaces before the target", b"GET  /liveness HTTP/1.1", "one space is the rule"),
    _line("two spaces before the version", b"GET /liveness  HTTP/1.1", "one space is the rule"),
    _line("space before the method", b" GET /liveness HTTP/1.1", "a line begins with its method"),
    _line("space after the version", b"GET /liveness HTTP/1.1 ", "the version ends the line"),
    _line("words after the version", b"GET /liveness HTTP/1.1 please", "the version ends the line"),
    _line("no version", b"GET /liveness", "HTTP/0.9 is not spoken"),
    _line("HTTP/0.9", b"GET /liveness HTTP/0.9", "HTTP/0.9 is not spoken"),
    _line("HTTP/2.0", b"GET /liveness HTTP/2.0", "HTTP/2 is not written as text"),
    _line("HTTP/3", b"GET /liveness HTTP/3", "HTTP/3 is not written as text"),
    _line("HTTP/9.9", b"GET /liveness HTTP/9.9", "there is no such version"),
    _line("HTTP/1", b"GET /liveness HTTP/1", "the minor version is missing"),
    _line("HTTP/1.10", b"GET /liveness HTTP/1.10", "versions have one digit and one digit"),
    _line("HTTP/01.1", b"GET /liveness HTTP/01.1", "versions have one digit and one digit"),
    _line("HTTP/1.1.1", b"GET /liveness HTTP/1.1.1", "versions have one digit and one digit"),
    _line("HTTP/-1.1", b"GET /liveness HTTP/-1.1", "versions have no sign"),
    _line("HTTP/1,1", b"GET /liveness HTTP/1,1", "a dot is needed"),
    _line("space in the version", b"GET /liveness HTTP/ 1.1", "versions have no spaces"),
    _line("lower-case version", b"GET /liveness http/1.1", "the name is in capitals"),
    _line("HTTPS/1.1", b"GET /liveness HTTPS/1.1", "there is no such protocol name"),
    _line("8-bit version", b"GET /liveness HTTP/1.\xb9", "digits are ASCII"),
    _line("NUL after the version", b"GET /liveness HTTP/1.1\0", "the version ends the line"),
    _line(
        "one empty line before", b"\r\nGET /liveness HTTP/1.1", "RFC 9112 2.2 forgives it", 200, 400
    ),
    _line(
        "two empty lines before", b"\r\n\r\nGET /liveness HTTP/1.1", "one may be forgiven", 200, 400
    ),
    Case(
        name="line that ends in LF",
        says="a line ends in CR LF",
        raw=b"GET /liveness HTTP/1.1\nHost: rowcast.test\r\n\r\n",
    ),
    Case(
        name="only LF",
        says="lines end in CR LF",
        raw=b"GET /liveness HTTP/1.1\nHost: rowcast.test\n\n",
    ),
    Case(
        name="only CR",
        says="lines end in CR LF",
        raw=b"GET /liveness HTTP/1.1\rHost: rowcast.test\r\r",
        allowed=(400, 408, CLOSED),
    ),
    Case(
        name="LF CR",
        says="lines end in CR LF, not LF CR",
        raw=b"GET /liveness HTTP/1.1\n\rHost: rowcast.test\n\r\n\r",
    ),
    Case(
        name="line cut short",
        says="the client ends within its request line",
        raw=b"GET /live",
        allowed=(400, 408, CLOSED),
        ends=True,
    ),
    Case(
        name="line never ended",
        says="the client falls silent within its request line",
        raw=b"GET /liveness HTTP/1.1",
        allowed=(400, 408, CLOSED),
    ),
    Case(
        name="nothing",
        says="the client connects and ends",
        raw=b"",
        allowed=(CLOSED,),
        ends=True,
    ),
    Case(
        name="empty lines only",
        says="the client sends empty lines and ends",
        raw=b"\r\n\r\n\r\n",
        allowed=(400, CLOSED),
        ends=True,
    ),
    Case(
        name="line without end",
        says="64 kB without a line's end",
        raw=b"A" * (64 << 10),
        allowed=(400, 414, 431),
    ),
)
