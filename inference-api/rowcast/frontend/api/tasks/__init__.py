"""The dialect of the service with tasks: a prompt is submitted, and its reply is fetched later.

    POST   /send_text                       `{"task_id"}`; the body is that of /generate
    GET    /get_task_status/<task>          the task as it is, with its result
    GET    /poll_task_status/<task>         the same, once it has the status `?target_status=`
    GET    /tasks, /tasks/                  the tasks of the caller's team, in pages
    GET    /tasks/<task>                    as /get_task_status/<task>
    POST   /tasks/<task>/cancel             ended, and its row is free
    DELETE /tasks/<task>                    204; ended, and deleted with its result

A task is a background request (`rowcast.frontend.background`) to /generate: accepted means durable,
and its result is what /generate would have answered. `docs/tasks.md` describes all of it.
"""

from collections.abc import Iterable

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.generate.errors import error_body
from rowcast.frontend.api.tasks.handlers import cancel, delete, listed, poll, send_text, status
from rowcast.frontend.api.tasks.openapi import OPERATIONS


def routes(_: Api) -> Iterable[Route]:
    """Return the routes."""
    return (
        Route("POST", "/send_text", send_text),
        Route("GET", "/get_task_status/<task>", status),
        Route("GET", "/poll_task_status/<task>", poll),
        Route("GET", "/tasks", listed),
        Route("GET", "/tasks/", listed),
        Route("GET", "/tasks/<task>", status),
        Route("POST", "/tasks/<task>/cancel", cancel),
        Route("DELETE", "/tasks/<task>", delete),
    )


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    prefixes=("/send_text", "/get_task_status/", "/poll_task_status/", "/tasks"),
)
