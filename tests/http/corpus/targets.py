"""Request targets in every form, and tricks to disguise one path as another.

A trick must end in 404 or 400 or, where the target legitimately means a known path, in its answer;
never in a redirect, which would carry the client's text in a Location. The proxy forwards only the
paths written in its table.
"""

from ..case import Case, asked, request


def _get(name: str, target: bytes, says: str, *allowed: int, proxy: int = 404) -> Case:
    return Case(
        name=name,
        says=says,
        raw=asked(b"GET " + target + b" HTTP/1.1"),
        allowed=allowed or (404,),
        at_proxy=(proxy, 400, 404) if proxy == 200 else (400, 404),
    )


CASES = (
    _get(
        "absolute form", b"http://rowcast.test/liveness", "servers must accept it", 200, proxy=200
    ),
    _get(
        "absolute form, other host",
        b"http://evil.test/liveness",
        "Host differs",
        200,
        400,
        proxy=200,
    ),
    _get("absolute form, no path", b"http://rowcast.test", "means /", 200, 400, proxy=200),
    _get("absolute form, only a query", b"http://rowcast.test?a=b", "means /", 200, 400, proxy=200),
    _get(
        "absolute form, user and password",
        b"http://a:b@rowcast.test/liveness",
        "no userinfo in HTTP",
        200,
        400,
        proxy=200,
    ),
    _get(
        "absolute form, no authority",
        b"http:///liveness",
        "the authority is missing",
        200,
        400,
        404,
    ),
    _get(
        "absolute form, broken IPv6",
        b"http://[::1/liveness",
        "the bracket is not closed",
        400,
        proxy=200,
    ),
    _get(
        "absolute form, other scheme",
        b"ftp://rowcast.test/liveness",
        "not a scheme we serve",
        200,
        400,
        404,
        421,
    ),
    _get(
        "absolute form, no scheme", b"://rowcast.test/liveness", "the scheme is missing", 400, 404
    ),
    _get("file URL", b"file:///etc/passwd", "not a scheme we serve", 400, 404),
    _get("authority form", b"rowcast.test:80", "only CONNECT may use it", 400),
    _get("asterisk", b"*", "only OPTIONS may use it", 400),
    _get("query without a path", b"?a=b", "the path is missing", 400),
    _get("relative path", b"liveness", "a path begins with a slash", 400),
    _get("backslash", b"\\liveness", "a path begins with a slash", 400),
    _get("back-and-forth slash", b"/..\\liveness", "backslashes are not separators"),
    _get("two slashes", b"//liveness", "an empty segment is not nothing"),
    _get("two slashes and a host", b"//evil.test/liveness", "a path, not a host"),
    _get(
        "two slashes within", b"/predictions//scripted", "an empty segment is not nothing", 404, 405
    ),
    _get("slash after", b"/liveness/", "another path"),
    _get("dot segment", b"/./liveness", "nothing is normalised"),
    _get("dot-dot segment", b"/predictions/../liveness", "nothing is normalised", 404, 405),
    _get("dot-dot out of the root", b"/../../etc/passwd", "nothing is normalised"),
    _get("percent-encoded dot-dot", b"/%2e%2e/liveness", "nothing is normalised"),
    _get("twice-encoded dot-dot", b"/%252e%252e/liveness", "decoded once at most"),
    _get("percent-encoded slash", b"/predictions%2fscripted", "%2f is not a separator", 404, 405),
    _get("percent-encoded letter", b"/%6civeness", "the same path, written oddly", 200, proxy=404),
    _get("percent-encoded NUL", b"/liveness%00", "NUL is not nothing"),
    _get("percent-encoded CR LF", b"/liveness%0d%0aX-Evil:%20yes", "never becomes a header"),
    _get("percent-encoded space", b"/liveness%20", "another path"),
    _get("percent-encoded question mark", b"/liveness%3fa=b", "part of the path"),
    _get("percent sign alone", b"/liveness%", "nothing follows the sign"),
    _get("percent sign and no hex", b"/liveness%zz", "no hex follows the sign"),
    _get("overlong UTF-8 slash", b"/..%c0%afliveness", "not UTF-8"),
    _get("not UTF-8", b"/predictions/%ff%fe", "not UTF-8", 404, 405),
    _get("unicode escape", b"/%u006civeness", "no such escape in URLs"),
    _get("matrix parameter", b"/liveness;a=b", "part of the segment"),
    _get("fragment", b"/liveness#there", "fragments are not sent", 200, 400, 404),
    _get(
        "query of junk", b"/liveness?%%%&&==;;[]{}|", "queries are free text", 200, 400, proxy=200
    ),
    _get("raw space", b"/live ness", "spaces end the target", 400),
    _get("raw NUL", b"/liveness\0", "not a character of URLs", 400),
    _get("raw control character", b"/liveness\x01", "not a character of URLs", 400),
    _get("raw DEL", b"/liveness\x7f", "not a character of URLs", 400),
    _get("raw tab", b"/live\tness", "not a character of URLs", 400),
    _get("raw CR", b"/live\rness", "not a character of URLs", 400),
    _get("raw 8-bit", b"/liven\xe9ss", "URLs are ASCII", 400),
    _get("raw UTF-8", "/livenéss".encode(), "URLs are ASCII", 400),
    _get("angle brackets", b"/<script>alert(1)</script>", "comes back only inside JSON"),
    Case(
        name="asterisk with OPTIONS",
        says="asks about the server as a whole",
        raw=asked(b"OPTIONS * HTTP/1.1"),
        allowed=(200, 204, 400, 404, 405),
    ),
    Case(
        name="CONNECT",
        says="this is no forward proxy",
        raw=asked(b"CONNECT evil.test:443 HTTP/1.1"),
        allowed=(400, 404, 405),
    ),
    Case(
        name="CONNECT and its tunnel",
        says="what follows a CONNECT is never a request",
        raw=asked(b"CONNECT evil.test:443 HTTP/1.1") + asked(b"GET /liveness HTTP/1.1"),
        allowed=(400, 404, 405),
    ),
    Case(
        name="target of 8 kB",
        says="longer than a request line may be",
        raw=asked(b"GET /" + b"a" * 8192 + b" HTTP/1.1"),
        allowed=(414,),
    ),
    Case(
        name="query of 8 kB",
        says="longer than a request line may be",
        raw=asked(b"GET /liveness?" + b"a" * 8192 + b" HTTP/1.1"),
        allowed=(414,),
    ),
    Case(
        name="target of 3 kB",
        says="long, but within the limit",
        raw=asked(b"GET /" + b"a" * 3000 + b" HTTP/1.1"),
        allowed=(404,),
    ),
    Case(
        name="absolute form without Host",
        says="HTTP/1.1 needs a Host even then",
        raw=request(b"GET http://rowcast.test/liveness HTTP/1.1"),
    ),
)
