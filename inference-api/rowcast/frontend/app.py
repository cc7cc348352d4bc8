"""The Flask application: dialects, health, and the handling of every request and error.

`create_app(frontend)` composes and starts nothing. Each request gets an id. Requests that HTTP
forbids but gunicorn accepts are refused, and so are callers that `access` does not allow, before
any of the body is read. While the server stops, new requests are refused. Errors get the form of
the dialect that owns the path, with the same HTTP status.
"""

import logging
import re
import time

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from rowcast.errors import (
    BuildChanged,
    DeadlinePassed,
    KeyReused,
    MalformedRequest,
    Overloaded,
    ReplyCancelled,
    ReplyFailed,
    RowcastError,
    Stopping,
    Unavailable,
)
from rowcast.frontend import health
from rowcast.frontend.api import DIALECTS, asks_for_rows, dialect_of, streams
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.access import OPEN, Access
from rowcast.frontend.request.body import leave_unread
from rowcast.frontend.request.identity import request_id_of
from rowcast_http.client_watch import WENT_AWAY

_log = logging.getLogger("rowcast.http")

EXTENSION = "rowcast"
_HOST = re.compile(r"([A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")


def create_app(frontend: Frontend) -> Flask:
    """Create the application of one frontend."""
    app = Flask("rowcast", static_folder=None)
    app.extensions[EXTENSION] = frontend
    app.register_blueprint(health.blueprint(frontend))
    app.register_blueprint(streams.blueprint(frontend))
    for dialect in DIALECTS:
        app.register_blueprint(dialect.blueprint(frontend))
    app.before_request(_name_request)
    app.before_request(_check_host)
    app.before_request(_check_coding)
    access = Access.of(frontend.settings)
    app.before_request(lambda: _check_caller(frontend, access))
    app.before_request(_check_path)
    app.before_request(lambda: _check_stopping(frontend))
    app.before_request(lambda: _check_room(frontend))
    app.after_request(_finish_headers)
    app.register_error_handler(RowcastError, _rowcast_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)
    return app


def _name_request() -> None:
    g.began = time.monotonic()
    g.request_id = request_id_of(request.headers)


def _check_host() -> None:
    host = request.environ.get("HTTP_HOST")
    if host is None and request.environ["SERVER_PROTOCOL"] != "HTTP/1.0":
        raise MalformedRequest("the Host header is missing; HTTP/1.1 requires one")
    if host is not None and not _HOST.fullmatch(host):
        raise MalformedRequest(
            "the Host header is malformed; send one host, with or without a port"
        )


def _check_coding() -> None:
    """Refuse codings other than chunked: gunicorn accepts them, but does not decode them."""
    coding = request.environ.get("HTTP_TRANSFER_ENCODING", "chunked")
    if coding.lower() != "chunked":
        raise MalformedRequest(f"Transfer-Encoding is {coding[:40]!r}; only chunked is read")


def _check_caller(frontend: Frontend, access: Access) -> None:
    if request.blueprint in OPEN:
        return
    access.check(request.headers)
    crowded = getattr(request.environ.get("gunicorn.socket"), "crowded", "")
    if crowded:
        raise Overloaded(crowded)
    share = getattr(request.environ["wsgi.input"], "share", None)
    if share is not None:
        share.team = frontend.caller().team


def _check_path() -> None:
    """Refuse double slashes: they are neither merged nor redirected."""
    if "//" in request.environ["PATH_INFO"]:
        raise NotFound


def _check_stopping(frontend: Frontend) -> None:
    if frontend.sessions.stopping and request.method == "POST":
        raise Stopping("the server is stopping; send this to its successor")


def _check_room(frontend: Frontend) -> None:
    if asks_for_rows(request.method, request.path):
        frontend.check_room()


def _finish_headers(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    if g.get("stream"):
        response.headers["X-Stream-ID"] = g.stream
    leave_unread(request)
    return response


def _error(status: int, message: str, error: Exception) -> Response:
    """Return an error in the form of the dialect that owns the path."""
    response = jsonify(dialect_of(request.path).error_body(status, message, error))
    response.status_code = status
    return response


def _rowcast_error(error: RowcastError) -> Response:
    if isinstance(error, ReplyCancelled):
        reason = "client_gone" if str(error) == WENT_AWAY else "cancelled"
        _log.info("request=%s not answered reason=%s: %s", g.request_id, reason, error)
    elif error.status >= 500 and not isinstance(error, Unavailable | DeadlinePassed):
        _log.error("request=%s failed: %s", g.request_id, error)
    response = _error(error.status, str(error), error)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, ReplyFailed | BuildChanged | KeyReused):
        response.headers["X-Should-Retry"] = "false"  # the same request gives the same reply
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    response = _error(status, f"{error.name}: {_hint(error)}", error)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _hint(error: HTTPException) -> str:
    """Return the advice for an error; the proxy uses the same words."""
    if error.code == 404:
        return f"nothing is served at {request.path[:200]}"
    if isinstance(error, MethodNotAllowed):
        taken = " or ".join(sorted({*(error.valid_methods or ())} - {"HEAD", "OPTIONS"}))
        wrong = f"{request.method[:20]} is not answered at {request.path[:200]}"
        return f"this path takes {taken}; {wrong}"
    return error.description or "no details"


def _unexpected_error(error: Exception) -> Response:
    _log.error("request=%s unexpected error", g.get("request_id", "-"), exc_info=error)
    return _error(500, "Internal server error; the log has it under this request's id", error)
