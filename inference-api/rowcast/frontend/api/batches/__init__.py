"""Files and batches: clients of OpenAI's batch API work unchanged.

    POST   /v1/files                    a file of lines, as multipart/form-data; GET: the list
    GET    /v1/files/<file>             its description; DELETE: deleted
    GET    /v1/files/<file>/content     its bytes
    POST   /v1/batches                  its lines are computed in the background; GET: the list
    GET    /v1/batches/<batch>          its progress
    POST   /v1/batches/<batch>/cancel   ended, with what was computed

Each line is a background request (`rowcast.frontend.background`) to one of this server's routes.
`files` and `batches` answer, `uploads` reads files, `lines` their lines. `docs/tasks.md` describes
all of it.
"""

from collections.abc import Iterable
from functools import partial

from rowcast.frontend.api.batches import batches, files
from rowcast.frontend.api.batches.openapi import OPERATIONS
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.openai.errors import error_body, error_event


def routes(api: Api) -> Iterable[Route]:
    """Return the routes."""
    return (
        Route("POST", "/v1/files", files.upload),
        Route("GET", "/v1/files", files.listed),
        Route("GET", "/v1/files/<file>", files.retrieve),
        Route("DELETE", "/v1/files/<file>", files.delete),
        Route("GET", "/v1/files/<file>/content", files.content),
        Route("POST", "/v1/batches", partial(batches.create, api)),
        Route("GET", "/v1/batches", batches.listed),
        Route("GET", "/v1/batches/<batch>", batches.retrieve),
        Route("POST", "/v1/batches/<batch>/cancel", batches.cancel),
    )


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=("/v1/files", "/v1/batches"),
)
