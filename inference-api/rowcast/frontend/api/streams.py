"""Kept streams: read again from any position, or cancelled.

    GET    /v1/streams/<id>     the stream in its original form
    DELETE /v1/streams/<id>     204; the stream is deleted, and its computation stops

A reader gives its position as `Last-Event-ID`, the id of the last event that it has, or as
`?from=`: the same, or for a body without events the number of bytes that it has. The recorded
request goes through its original view again: no dialect has code for this.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, g, request

from rowcast.errors import Forbidden
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.origin import Origin


def blueprint(frontend: Frontend) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("streams", __name__)

    def resume(stream: str) -> Response:
        record = frontend.sessions.journal.find(stream, _team(frontend))
        if request.method == "HEAD":
            return Response()
        start = request.args.get("from", request.headers.get("Last-Event-ID", ""))
        g.origin = Origin.recorded(record, start)
        return _answer_to(record.path)

    def cancel(stream: str) -> Response:
        frontend.sessions.journal.cancel(stream, _team(frontend))
        return Response(status=204)

    routes.add_url_rule("/v1/streams/<stream>", view_func=resume)
    routes.add_url_rule("/v1/streams/<stream>", view_func=cancel, methods=["DELETE"])
    return routes


def _team(frontend: Frontend) -> str:
    """Return the team whose streams the caller may read and cancel."""
    caller = frontend.caller()
    if not caller.keeps:
        raise Forbidden(
            "no streams are kept for requests through a proxy without PROXY_SECRET, because "
            "nothing tells teams apart; set the same PROXY_SECRET for proxy and server"
        )
    return caller.team


def _answer_to(path: str) -> Response:
    """Return the response to a POST to this path."""
    endpoint, arguments = current_app.url_map.bind("localhost").match(path, method="POST")
    view: Callable[..., Any] = current_app.view_functions[endpoint]
    answer: Response = view(**arguments)
    return answer
