"""The API documents: /openapi.json and two pages over it, /docs (to try) and /redoc (to read).

`operations` is how a dialect describes a route; `spec` joins them into one OpenAPI document, with
this server's names and bounds. The page is a single file of our own and loads nothing from
elsewhere, so it works without a network.
"""

from importlib.resources import files

from flask import Blueprint, Response, jsonify

from rowcast.frontend.api.documents.spec import spec
from rowcast.frontend.frontend import Frontend

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:"
)


def blueprint(frontend: Frontend) -> Blueprint:
    """Return the routes of the documents."""
    routes = Blueprint("documents", __name__)
    page = files(__name__).joinpath("page.html").read_text(encoding="utf-8")

    def openapi() -> Response:
        return jsonify(spec(frontend))

    def show() -> Response:
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    routes.add_url_rule("/openapi.json", view_func=openapi)
    for path in ("/docs", "/redoc"):
        routes.add_url_rule(path, endpoint=path, view_func=show)
    return routes
