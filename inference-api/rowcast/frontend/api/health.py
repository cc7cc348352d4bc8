"""Health checks: is this process alive, and would a prompt be answered now?

`/liveness` reports only that the process answers. `/readiness` (and `/health`, `/health_check`,
`GET /`) report whether a backend with a loaded model is connected and has reported recently. A
full waiting line means busy, not unhealthy: it changes neither.
"""

from collections.abc import Iterable
from typing import Any

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.health import OPERATIONS
from rowcast.frontend.api.errors import error_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, json_response

READY = ("/readiness", "/health", "/health_check", "/")


def routes(_: Api) -> Iterable[Route]:
    """Return the health routes."""
    return (Route("GET", "/liveness", liveness), *(Route("GET", at, readiness) for at in READY))


def liveness(_frontend: Frontend, _request: Request) -> Response:
    """Answer that the process is alive."""
    return json_response({"status": "alive"})


def readiness(frontend: Frontend, _request: Request) -> Response:
    """Report whether a prompt would be answered now."""
    return json_response(_report(frontend), 200 if frontend.health().ready else 503)


def _report(frontend: Frontend) -> dict[str, Any]:
    health = frontend.health()
    report: dict[str, Any] = {"status": "ready" if health.ready else "not ready"}
    if not health.ready:
        report["reason"] = health.reason
    if (journal := frontend.journal.state) is not None:
        report["journal"] = journal
    if health.status is not None:
        status = health.status
        report |= {
            "model": status.model,
            "fingerprint": status.fingerprint,
            "context_length": status.context_length,
            "rows": {"seated": status.seated, "of": status.rows},
            "waiting": status.waiting,
            "longest_pause_ms": round(frontend.pauses.longest() * 1000),
        }
    return report


DIALECT = Dialect(routes=routes, operations=OPERATIONS, error_body=error_body, open=True)
