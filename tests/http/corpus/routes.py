"""Valid HTTP requests for what does not exist: unknown paths and models, wrong methods.

Some have a body where none belongs.
"""

from ..case import GOOD_BODY, Case, asked, posted, sent

SIZE = b"Content-Length: %d" % len(GOOD_BODY)
PREDICT = b"/predictions/scripted"


def _ask(name: str, line: bytes, says: str, *allowed: int, hint: str = "") -> Case:
    return Case(name=name, says=says, raw=asked(line + b" HTTP/1.1"), allowed=allowed, hint=hint)


def _post(name: str, path: bytes, says: str, *allowed: int, hint: str = "") -> Case:
    raw = posted(GOOD_BODY, SIZE, line=b"POST " + path + b" HTTP/1.1")
    return Case(name=name, says=says, raw=raw, allowed=allowed, hint=hint)


_METHODS = (
    _ask("GET of a prompt's path", b"GET " + PREDICT, "POST is needed", 405),
    _ask("GET of the chat path", b"GET /chat/scripted", "POST is needed", 405),
    _ask("HEAD of a prompt's path", b"HEAD " + PREDICT, "POST is needed", 405),
    _ask("HEAD of health", b"HEAD /liveness", "as GET, without a body", 200, 405),
    _ask("PUT", b"PUT " + PREDICT, "POST is needed", 405),
    _ask("PATCH", b"PATCH " + PREDICT, "POST is needed", 405),
    _ask("DELETE", b"DELETE " + PREDICT, "POST is needed", 405),
    _ask("TRACE", b"TRACE /liveness", "would echo credentials", 405),
    _ask("OPTIONS", b"OPTIONS " + PREDICT, "lawful", 200, 204, 405),
    _ask("unknown method", b"BREW " + PREDICT, "there is none of that name", 405),
    _ask("WebDAV method", b"PROPFIND /", "not a file store", 405),
    _ask("method with a hyphen", b"VERSION-CONTROL /", "not a file store", 405),
    _ask("DELETE of the root", b"DELETE /", "no", 405),
    _post("POST of health", b"/liveness", "GET is needed", 405),
    _post("POST of readiness", b"/readiness", "GET is needed", 405),
    Case(
        name="GET with a prompt as its body",
        says="POST is needed",
        raw=posted(GOOD_BODY, SIZE, line=b"GET " + PREDICT + b" HTTP/1.1"),
        allowed=(405,),
    ),
    Case(
        name="method overridden",
        says="a header does not change the method",
        raw=posted(
            GOOD_BODY, SIZE, b"X-HTTP-Method-Override: POST", line=b"PUT " + PREDICT + b" HTTP/1.1"
        ),
        allowed=(405,),
    ),
)

_PATHS = (
    _ask("unknown path", b"GET /nowhere", "not there", 404),
    _ask("favicon", b"GET /favicon.ico", "not there", 404),
    _ask("password file", b"GET /.env", "not there", 404),
    _ask("static file", b"GET /static/../inference_api_server.py", "not there", 404),
    _post("unknown path, posted", b"/nowhere", "not there", 404),
    _post("no model", b"/predictions", "a model is missing", 404),
    _post("empty model", b"/predictions/", "a model is missing", 404),
    _post("unknown model", b"/predictions/gpt-99", "not served", 404, hint="scripted"),
    _post("unknown model in chat", b"/chat/gpt-99", "not served", 404, hint="scripted"),
    _post("model in capitals", b"/predictions/SCRIPTED", "names have case", 404),
    _post("model with a slash", b"/predictions/scripted/", "another path", 404),
    _post("path behind the model", b"/predictions/scripted/more", "another path", 404),
    _post("model of 2 kB", b"/predictions/" + b"a" * 2000, "not served", 404),
    _post("model of percent signs", b"/predictions/%25%25%25", "not served", 404),
    _post("model of markup", b"/predictions/%3Cscript%3E", "not served", 404),
    _post("path in capitals", b"/PREDICTIONS/scripted", "paths have case", 404),
    _post("two slashes, posted", b"//predictions/scripted", "never a redirect", 404),
    _post("two slashes within, posted", b"/predictions//scripted", "never a redirect", 404),
)

_PIPELINES = (
    Case(
        name="two prompts at once",
        says="lawful: answered in order",
        raw=sent(GOOD_BODY) * 2,
        allowed=(200,),
        answers=2,
    ),
    Case(
        name="ten bad prompts at once",
        says="each gets its own answer, or the connection ends",
        raw=sent(b"{}") * 10,
        allowed=(400,),
        answers=10,
    ),
    Case(
        name="good prompt, then junk",
        says="one answer, then a refusal",
        raw=sent(GOOD_BODY) + b"\0\1\2\3\r\n\r\n",
        allowed=(200,),
        answers=2,
    ),
    Case(
        name="good prompt, then half a request",
        says="what comes next completes it, and gives it a second Host",
        raw=sent(GOOD_BODY) + b"POST /predictions/scripted HTTP/1.1\r\nHost: row",
        allowed=(200,),
        answers=2,
    ),
)

CASES = (*_METHODS, *_PATHS, *_PIPELINES)
