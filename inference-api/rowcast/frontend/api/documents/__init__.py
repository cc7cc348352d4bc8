"""The API documents: /openapi.json and two pages over it, /docs (to try) and /redoc (to read).

A dialect describes its routes as operations; `spec` joins them into one OpenAPI document, with this
server's names and bounds. The page is a single file of our own and loads nothing from
elsewhere, so it works without a network.
"""

from collections.abc import Iterable
from functools import partial
from importlib.resources import files

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.pages import OPERATIONS
from rowcast.frontend.api.documents.spec import spec
from rowcast.frontend.api.errors import error_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import HTML, Response, json_response, whole

PAGES = ("/docs", "/redoc")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:"
)


def routes(api: Api) -> Iterable[Route]:
    """Return the routes of the documents."""
    html = files(__name__).joinpath("page.html").read_bytes()
    page = whole(html, HTML).with_headers({"Content-Security-Policy": _POLICY})

    def show(_frontend: Frontend, _request: Request) -> Response:
        return page

    openapi = Route("GET", "/openapi.json", partial(_openapi, api))
    return (openapi, *(Route("GET", path, show) for path in PAGES))


def _openapi(api: Api, frontend: Frontend, _request: Request) -> Response:
    return json_response(spec(frontend, api.operations))


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    prefixes=("/openapi.json", *PAGES),
    open=True,
)
