"""What a dialect is: one HTTP contract, registered by one line in `DIALECTS`.

    routes        method and path -> a function `chat(frontend, request) -> Response`
    operations    its part of /openapi.json
    error_body    the form of errors below the paths that it owns, `prefixes`, and of errors of
                  requests that it recognizes at any path
    error_event   the same inside an event stream
    rows          the paths where a POST needs rows: refused early while there are none; a group
                  `model` in it is the model's name
    again         the paths, with their queries, where a GET reads a stream again
    stored        the bodies for those paths that are only stored now, and need rows later

`Api` is all dialects of one frontend. `app.py` makes URL rules of its routes; `answer(request)`
sends a request that did not come by HTTP through the same functions.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from werkzeug.routing import Map, Rule

from rowcast.errors import BuildChanged, Overloaded, RowcastError
from rowcast.frontend.api.errors import INTERNAL_ERROR, error_event
from rowcast.frontend.api.late import ErrorEvent, late
from rowcast.frontend.api.operation import Operation
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.waiting import StillLoading
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, json_response
from rowcast.frontend.served_model import STREAM_HEADER

Handler = Callable[[Frontend, Request], Response]
ErrorBody = Callable[[int, str, Exception | None], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path; `<name>` in it is a variable part. GET includes HEAD."""

    method: str
    path: str
    handler: Handler

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """An HTTP contract."""

    routes: "Callable[[Api], Iterable[Route]]"
    operations: tuple[Operation, ...]
    error_body: ErrorBody
    error_event: ErrorEvent = error_event
    prefixes: tuple[str, ...] = ()  # paths whose errors have its form
    recognizes: Callable[[Request], bool] = lambda _: False  # requests whose errors have its form
    rows: re.Pattern[str] | None = None  # paths where a POST needs rows
    stored: re.Pattern[bytes] | None = None  # what a body has if it is computed later
    again: re.Pattern[str] | None = None  # paths, with queries, where a GET reads a stream again
    open: bool = False  # to every caller, without a token
    overloaded: int = 503  # the status while the waiting line is full
    id_header: str = ""  # a header for the request's id, which error bodies then have, too

    def error(
        self, status: int, error: Exception, message: str, request: str
    ) -> tuple[int, dict[str, object]]:
        """Return status and body of an error; `request`: the request's id."""
        status = self.overloaded if isinstance(error, Overloaded) else status
        body = self.error_body(status, message, error)
        return status, {**body, "request_id": request} if self.id_header else body


def dialect_of(path: str, dialects: Iterable[Dialect]) -> Dialect:
    """Return the dialect that formats errors at this path."""
    first, *_ = known = tuple(dialects)
    return next((each for each in known if path.startswith(each.prefixes)), first)


def dialect_for(request: Request, dialects: Iterable[Dialect]) -> Dialect:
    """Return the dialect that formats errors of this request."""
    known = tuple(dialects)
    recognized = (each for each in known if each.recognizes(request))
    return next(recognized, None) or dialect_of(request.path, known)


class MatchedRule(Rule):
    """A rule that is only matched: werkzeug spends most time on functions that build URLs of it."""

    def _compile_builder(
        self,
        append_unknown: bool = True,  # noqa: ARG002  # of the base class
    ) -> Callable[..., tuple[str, str]]:
        return _no_url


def _no_url(*_: object, **__: object) -> tuple[str, str]:
    raise NotImplementedError("the server builds no URLs of its routes")


class Api:
    """The dialects of one frontend, with their routes."""

    def __init__(self, frontend: Frontend, dialects: Iterable[Dialect]) -> None:
        self.frontend = frontend
        self.dialects = tuple(dialects)
        registered = [(each, route) for each in self.dialects for route in each.routes(self)]
        self.routes = tuple(route for _, route in registered)
        self.open = frozenset(route.name for dialect, route in registered if dialect.open)
        self._map = Map(
            [MatchedRule(at.path, methods=[at.method], endpoint=at) for at in self.routes]
        )

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every dialect's operations."""
        return tuple(operation for each in self.dialects for operation in each.operations)

    def answer(self, request: Request) -> Response:
        """Return the response to a request, by its method and path."""
        route, names = self._map.bind("localhost").match(request.path, method=request.method)
        return self.call(route.handler, replace(request, names=names))

    def refusal(self, request: Request, error: Exception, status: int, message: str) -> Response:
        """Return an error in the form of the dialect that owns the request."""
        dialect = dialect_for(request, self.dialects)
        if dialect.id_header:
            request.response_headers[dialect.id_header] = request.id
        shown, body = dialect.error(status, error, message, request.id)
        return json_response(body, shown)

    def failure(self, request: Request, error: Exception) -> Response:
        """Return the answer to a request whose handler has raised this."""
        if isinstance(error, RowcastError):
            return self.refusal(request, error, error.status, str(error))
        return self.refusal(request, error, 500, INTERNAL_ERROR)

    def call(self, handler: Handler, request: Request) -> Response:
        """Return a handler's response, which may begin before the request's model is loaded.

        A request whose key has a reply of an earlier build is handled again with that build.
        """
        try:
            return handler(self.frontend, request)
        except StillLoading as loading:
            silence = self.frontend.settings.comment_seconds
            dialect = dialect_for(request, self.dialects)
            writes = self.frontend.journal.state == "ok"
            stream = loading.request.fixed_stream() if writes else ""
            again = partial(self.call, handler, replace(request, stream=stream))
            begun = late(loading.wait, request, silence, again, dialect.error_event)
            if stream:
                request.response_headers[STREAM_HEADER] = stream
            return begun
        except BuildChanged as changed:
            if changed.build in {"", request.build} or request.record is not None:
                raise
            return self.call(handler, replace(request, build=changed.build))
