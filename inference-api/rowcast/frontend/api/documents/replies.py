"""What all routes that compute a reply have in common: request and response headers, and links.

Whatever the dialect, each reply is a stream that may be kept. A header carries its name, by which
it can be resumed and cancelled.
"""

from typing import Any

from rowcast.frontend.api.operation import Schema
from rowcast.frontend.request.deadline import HEADER as TIMEOUT_HEADER
from rowcast.frontend.request.deadline import LONGEST, SHORTEST
from rowcast.frontend.request.origin import KEY_HEADER

TIMEOUT: Schema = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "description": "Seconds that the reply may take, from the arrival of the request",
    "schema": {"type": "number", "minimum": SHORTEST, "maximum": LONGEST},
}
KEY: Schema = {
    "name": KEY_HEADER,
    "in": "header",
    "description": "The same request with the same key is computed once",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
PARAMETERS = (KEY, TIMEOUT)

_STREAM_HEADER = "X-Stream-ID"
_NAMED = {"parameters": {"stream": f"$response.header.{_STREAM_HEADER}"}}


def _header(kind: str, description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


ANSWERED: Schema = {
    "headers": {
        _STREAM_HEADER: _header("string", "The stream's id, if the server keeps streams"),
        "X-Rowcast-Seed": _header("integer", "The seed; send it to get the same reply again"),
        "X-Request-ID": _header("string", "The request's id; yours, if you sent one"),
        "X-Rowcast-Unenforced": _header(
            "string", "The parts of a JSON schema that are not enforced"
        ),
    },
    "links": {
        "readOn": {"operationId": "get_v1_streams_stream", **_NAMED},
        "cancel": {"operationId": "delete_v1_streams_stream", **_NAMED},
    },
}
