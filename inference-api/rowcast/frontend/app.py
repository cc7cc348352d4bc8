"""The Flask application: the routes of all dialects, and the handling of every request and error.

    Flask's request ──▶ Request ──▶ the dialect's function ──▶ Response ──▶ Flask's response

`create_app(frontend)` composes and starts nothing. Each request gets an id. Requests that HTTP
forbids but gunicorn accepts are refused, and so are callers that `access` does not allow, before
any of the body is read. While the server stops, new requests are refused. Errors get the form of
the dialect that owns the path, with the same HTTP status. Only this module knows Flask.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, cast

import flask
from flask import Flask, g, request
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
from rowcast.frontend.api import DIALECTS, model_in, needs_rows, reads_again
from rowcast.frontend.api.dialect import Api, Dialect, Handler, MatchedRule
from rowcast.frontend.api.errors import INTERNAL_ERROR
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.metrics.metrics import OTHER_ROUTE, Metrics
from rowcast.frontend.reply.trace import begin_span, end_span
from rowcast.frontend.request.access import Access
from rowcast.frontend.request.body import leave_unread, read_body
from rowcast.frontend.request.identity import caller_of, request_id_of
from rowcast.frontend.request.request import Body, Request, Watch, stays
from rowcast.frontend.response import Chunks, Response
from rowcast_http.client_watch import WENT_AWAY
from rowcast_metrics.causes import cause_of
from rowcast_telemetry.spans import Span
from rowcast_telemetry.trace_context import HEADER as TRACEPARENT

_log = logging.getLogger("rowcast.http")

EXTENSION = "rowcast"
_HOST = re.compile(r"([A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")


class _Streamed(flask.Response):
    """A response whose chunks are bytes, so that nothing is called between two of them."""

    def get_app_iter(self, environ: dict[str, Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().get_app_iter(environ)
        return Chunks(self.iter_encoded(), self.close)

    def iter_encoded(self) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self.response)


def create_app(frontend: Frontend, dialects: Iterable[Dialect] = DIALECTS) -> Flask:
    """Create the application of one frontend."""
    app = Flask("rowcast", static_folder=None)
    app.url_rule_class = MatchedRule
    app.extensions[EXTENSION] = frontend
    api = Api(frontend, dialects)
    frontend.background.answers = api
    for route in api.routes:
        app.add_url_rule(
            route.path,
            endpoint=route.name,
            view_func=partial(_view, api, route.handler),
            methods=[route.method],
        )
    access = Access.of(frontend.settings)
    app.before_request(lambda: _make_request(frontend, api))
    app.before_request(_check_host)
    app.before_request(_check_coding)
    app.before_request(lambda: _check_caller(access, api))
    app.before_request(_check_path)
    app.before_request(lambda: _check_stopping(frontend))
    app.before_request(lambda: _check_room(frontend, api))
    app.after_request(partial(_finish, frontend.metrics))
    app.register_error_handler(RowcastError, partial(_rowcast_error, api))
    app.register_error_handler(HTTPException, partial(_http_error, api))
    app.register_error_handler(Exception, partial(_unexpected_error, api))
    return app


def _make_request(frontend: Frontend, api: Api) -> None:
    settings, secret = frontend.settings, frontend.settings.proxy_secret
    read = partial(read_body, request, settings.body_bytes, settings.body_seconds)
    named = request_id_of(request.headers)
    g.request = Request(
        method=request.method,
        path=request.path,
        body=Body(read, frontend.parsing),
        headers=request.headers,
        query=request.args,
        names=request.view_args or {},
        id=named,
        began=time.monotonic(),
        caller=caller_of(
            request.headers,
            secret.get_secret_value() if secret else None,
            request.environ.get("REMOTE_ADDR", ""),
        ),
        response_headers={"X-Request-ID": named},
        watch=_watch(frontend),
        span=_span(frontend, api, named),
    )


def _span(frontend: Frontend, api: Api, named: str) -> Span | None:
    """Begin the span of a request for replies, or for a stream that is read again."""
    if frontend.tracer is None:
        return None
    again = reads_again(request.method, request.full_path, api.dialects)
    if not again and not needs_rows(request.method, request.path, api.dialects):
        return None
    name = f"{request.method} {request.url_rule if again else request.path}"  # no name has an id
    span = begin_span(frontend.tracer, name, named, request.headers.get(TRACEPARENT))
    if again:
        span["rowcast.read_again"] = True
    return span


def _watch(frontend: Frontend) -> Watch:
    client = request.environ.get("gunicorn.socket")
    return stays if client is None else partial(frontend.clients.watch, client)


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
        raise MalformedRequest(f"Transfer-Encoding is {coding[:40]!r}; only chunked is supported")


def _check_caller(access: Access, api: Api) -> None:
    if request.endpoint in api.open:
        return
    access.check(request.headers)
    crowded = getattr(request.environ.get("gunicorn.socket"), "crowded", "")
    if crowded:
        raise Overloaded(crowded)
    share = getattr(request.environ["wsgi.input"], "share", None)
    if share is not None:
        share.team = g.request.caller.team


def _check_path() -> None:
    """Refuse double slashes: they are neither merged nor redirected."""
    if "//" in request.environ["PATH_INFO"]:
        raise NotFound


def _check_stopping(frontend: Frontend) -> None:
    if frontend.stopping and request.method == "POST":
        raise Stopping("the server is stopping; send the request again later")


def _check_room(frontend: Frontend, api: Api) -> None:
    if needs_rows(request.method, request.path, api.dialects):
        frontend.check_room(g.request, model_in(request.path, api.dialects))


def _view(api: Api, handler: Handler, **_: str) -> flask.Response:
    return _sent(api.call(handler, g.request))


def _sent(response: Response) -> flask.Response:
    """Return Flask's form of a response."""
    kind = flask.Response if isinstance(response.body, bytes) else _Streamed
    sent = kind(response.body or None, response.status, dict(response.headers))
    sent.call_on_close(partial(_close, response, g.request))
    return sent


def _close(response: Response, answered: Request) -> None:
    try:
        response.close()
    finally:
        answered.close()
        if answered.span is not None:
            end_span(answered.span, response.status)


def _finish(metrics: Metrics, response: flask.Response) -> flask.Response:
    metrics.answered(request.endpoint or OTHER_ROUTE, response.status_code)
    response.headers.update(g.request.response_headers)
    leave_unread(request)
    return response


def _error(api: Api, status: int, message: str, error: Exception) -> flask.Response:
    """Return an error in the form of the dialect that owns the path."""
    api.frontend.metrics.refused(_cause(error))
    g.request.close()
    return _sent(api.refusal(g.request, error, status, message))


def _cause(error: Exception) -> str:
    """Return why a request was refused, as metrics name it."""
    return cause_of(error) if isinstance(error, RowcastError | HTTPException) else "internal"


def _rowcast_error(api: Api, error: RowcastError) -> flask.Response:
    named = g.request.id
    if isinstance(error, ReplyCancelled):
        reason = "client_gone" if str(error) == WENT_AWAY else "cancelled"
        _log.info("request=%s not answered reason=%s: %s", named, reason, error)
    elif error.status >= 500 and not isinstance(error, Unavailable | DeadlinePassed):
        _log.error("request=%s failed: %s", named, error)
    response = _error(api, error.status, str(error), error)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, ReplyFailed | BuildChanged | KeyReused):
        response.headers["X-Should-Retry"] = "false"  # the same request gives the same reply
    return response


def _http_error(api: Api, error: HTTPException) -> flask.Response:
    status = error.code or 500
    response = _error(api, status, f"{error.name}: {_hint(error)}", error)
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
        return f"{request.method[:20]} is not allowed at {request.path[:200]}; send {taken}"
    return error.description or "no details"


def _unexpected_error(api: Api, error: Exception) -> flask.Response:
    _log.error("request=%s unexpected error", g.request.id, exc_info=error)
    return _error(api, 500, INTERNAL_ERROR, error)
