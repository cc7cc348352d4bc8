"""What a dialect is: one HTTP contract, registered by one line in `DIALECTS`.

    routes        method and path -> a function `chat(frontend, request) -> Response`
    operations    its part of /openapi.json
    error_body    the form of errors below the paths that it owns, `prefixes`, and of errors of
                  requests that it recognizes, at whatever path
    rows          the paths where a POST needs rows: refused early while there are none

`Api` is all dialects of one frontend. `app.py` makes URL rules of its routes; `answer(request)`
sends a request that did not come by HTTP through the same functions.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from werkzeug.routing import Map, Rule

from rowcast.frontend.api.operation import Operation
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

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
    prefixes: tuple[str, ...] = ()  # paths whose errors have its form
    recognizes: Callable[[Request], bool] = lambda _: False  # requests whose errors have its form
    rows: re.Pattern[str] | None = None  # paths where a POST needs rows
    open: bool = False  # to every caller, without a token


class Api:
    """The dialects of one frontend, with their routes."""

    def __init__(self, frontend: Frontend, dialects: Iterable[Dialect]) -> None:
        self.frontend = frontend
        self.dialects = tuple(dialects)
        registered = [(each, route) for each in self.dialects for route in each.routes(self)]
        self.routes = tuple(route for _, route in registered)
        self.open = frozenset(route.name for dialect, route in registered if dialect.open)
        self._map = Map([Rule(at.path, methods=[at.method], endpoint=at) for at in self.routes])

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every dialect's operations."""
        return tuple(operation for each in self.dialects for operation in each.operations)

    def answer(self, request: Request) -> Response:
        """Return the response to a request, by its method and path."""
        route, names = self._map.bind("localhost").match(request.path, method=request.method)
        response: Response = route.handler(self.frontend, replace(request, names=names))
        return response
