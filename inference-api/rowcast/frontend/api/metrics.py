"""`GET /metrics`: what all frontend processes have counted, and what this one knows of the rest.

Open to programs on this machine, and to callers whose token makes them administrators or scrapers:
the metrics show all teams. The text is made in parts, between which streams run.
"""

from collections.abc import Iterable, Iterator

from rowcast.errors import Forbidden
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.metrics import OPERATIONS
from rowcast.frontend.api.errors import error_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.metrics.families import COUNTED
from rowcast.frontend.request.access import Access
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import CONTENT_TYPE, Response
from rowcast_http.rest import rest
from rowcast_metrics.exposition import Exposition
from rowcast_metrics.totals import Series, Totals


def routes(_: Api) -> Iterable[Route]:
    """Return the route of metrics."""
    return (Route("GET", "/metrics", metrics),)


def metrics(frontend: Frontend, request: Request) -> Response:
    """Return all metrics. Raises Forbidden."""
    _check(frontend, request)
    form = Exposition(request.headers.get("Accept", ""), frontend.settings.metrics_names)
    headers = {CONTENT_TYPE: form.content_type, "Cache-Control": "no-store"}
    return Response(body=_in_turn(form.parts(_series(frontend))), headers=headers)


def _check(frontend: Frontend, request: Request) -> None:
    caller = request.caller
    if caller.local:
        Access.of(frontend.settings).check_local(request.headers)
    elif not (caller.admin or caller.scraper):
        raise Forbidden(
            "metrics are for programs on the server's machine, and for tokens whose claim "
            "`metrics` or `admin` is true; use one of the two"
        )


def _series(frontend: Frontend) -> Iterator[Series]:
    totals = Totals()
    for segment in frontend.metrics.memory.segments:
        if totals.include(segment):
            rest()
    for family in COUNTED:
        yield totals.of(family)
    yield from frontend.reading.series()


def _in_turn(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts; let all other requests run after each."""
    for part in parts:
        if part:
            yield part
        rest()


DIALECT = Dialect(routes=routes, operations=OPERATIONS, error_body=error_body, open=True)
