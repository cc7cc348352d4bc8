"""OpenAPI operations of the page."""

from rowcast.frontend.api.documents.health import REPORT
from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.operation import JSON, READ_ERRORS, Operation

_TEXT = {"type": "string"}

OPERATIONS = (
    Operation(
        method="get",
        path="/",
        tag="page",
        summary="The page, for browsers; otherwise whether a prompt would be answered now",
        answers={JSON: REPORT, "text/html": _TEXT},
        error=NATIVE_ERROR,
        others={503: REPORT},
    ),
    Operation(
        method="get",
        path="/static/{asset}",
        tag="page",
        summary="A file of the page",
        answers=dict.fromkeys(("text/javascript", "text/css", "image/svg+xml"), _TEXT),
        error=NATIVE_ERROR,
        errors=(404, *READ_ERRORS),
        parameters=(
            {
                "name": "asset",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[a-z]{1,40}\\.(js|css|svg)$"},
            },
        ),
    ),
)
