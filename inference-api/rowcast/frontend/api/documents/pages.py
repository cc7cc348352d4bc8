"""OpenAPI operations of the documents themselves."""

from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.operation import JSON, Operation

OPERATIONS = (
    Operation(
        method="get",
        path="/openapi.json",
        tag="documents",
        summary="This document",
        answers={JSON: {"type": "object"}},
        error=NATIVE_ERROR,
    ),
    *(
        Operation(
            method="get",
            path=path,
            tag="documents",
            summary="A page over this document",
            answers={"text/html": {"type": "string"}},
            error=NATIVE_ERROR,
        )
        for path in ("/docs", "/redoc")
    ),
)
