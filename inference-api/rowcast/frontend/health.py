"""Health checks: is this process alive, and would a prompt be answered now?

`/liveness` reports only that the process answers. `/readiness` (and `/health`, `/health_check`,
`GET /`) report whether a backend with a loaded model is connected and was heard from recently. A
full waiting line means busy, not unhealthy: it changes neither.
"""

from typing import Any

from flask import Blueprint, Response, jsonify

from rowcast.frontend.frontend import Frontend

READY = ("/readiness", "/health", "/health_check")


def blueprint(frontend: Frontend) -> Blueprint:
    """Return the health routes."""
    routes = Blueprint("health", __name__)

    def liveness() -> Response:
        return jsonify(status="alive")

    def readiness() -> Response:
        response = jsonify(_report(frontend))
        response.status_code = 200 if frontend.sessions.health().ready else 503
        return response

    routes.add_url_rule("/liveness", view_func=liveness)
    for path in (*READY, "/"):
        routes.add_url_rule(path, endpoint=path.strip("/") or "index", view_func=readiness)
    return routes


def _report(frontend: Frontend) -> dict[str, Any]:
    health = frontend.sessions.health()
    report: dict[str, Any] = {"status": "ready" if health.ready else "not ready"}
    if not health.ready:
        report["reason"] = health.reason
    if (journal := frontend.sessions.journal.state) is not None:
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
