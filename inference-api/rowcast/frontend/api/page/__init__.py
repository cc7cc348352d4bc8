"""The page for browsers at `GET /`, and the files that it loads.

    GET /                 with `Accept: text/html`: the page; otherwise readiness, as in `health`
    GET /static/<asset>   its style, its scripts, its icon

The files are read once, when the application is made. They need no token: all that the page does,
it does with requests that need one. `assets` decides how a file is sent.
"""

from collections.abc import Iterable
from functools import partial

from werkzeug.exceptions import NotFound

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.errors import error_body
from rowcast.frontend.api.health import readiness
from rowcast.frontend.api.page.assets import PAGE, Assets, prefers_page, read_assets
from rowcast.frontend.api.page.openapi import OPERATIONS
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.tree import tree


def routes(_: Api) -> Iterable[Route]:
    """Return the routes of the page."""
    assets = read_assets(tree())
    return (
        Route("GET", "/", partial(home, assets)),
        Route("GET", "/static/<asset>", partial(static, assets)),
    )


def home(assets: Assets, frontend: Frontend, request: Request) -> Response:
    """Answer a browser with the page, and everyone else with readiness."""
    if prefers_page(request.headers):
        return assets[PAGE].response(request.headers)
    return readiness(frontend, request)


def static(assets: Assets, _frontend: Frontend, request: Request) -> Response:
    """Answer with a file of the page."""
    asset = assets.get(request.names["asset"])
    if asset is None or request.names["asset"] == PAGE:
        raise NotFound
    return asset.response(request.headers)


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    prefixes=("/static/",),
    open=True,
)
