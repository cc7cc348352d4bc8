"""Health checks: is this process alive, and would a prompt be answered now?

`/liveness` reports only that the process answers. `/readiness` (and `/health`, `/health_check`, and
`GET /`, which is in `page`) report whether a backend with a loaded model is connected and has
reported recently. With several models, this holds for all that are loaded at the start. A full
waiting line means busy, not unhealthy: it changes neither. Only administrators get counts of
tokens, which would show what other teams send.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.health import OPERATIONS
from rowcast.frontend.api.errors import error_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.reasons import without_paths
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, json_response
from rowcast.frontend.sessions.demultiplexer import Health
from rowcast.wire import Status

READY = ("/readiness", "/health", "/health_check")


def routes(_: Api) -> Iterable[Route]:
    """Return the health routes."""
    return (Route("GET", "/liveness", liveness), *(Route("GET", at, readiness) for at in READY))


def liveness(_frontend: Frontend, _request: Request) -> Response:
    """Answer that the process is alive."""
    return json_response({"status": "alive"})


def readiness(frontend: Frontend, request: Request) -> Response:
    """Report whether a prompt would be answered now; administrators are shown more."""
    health = frontend.health()
    report = _report(frontend, health)
    if not request.caller.admin:
        report = _for_everybody(report)
    return json_response(report, 200 if health.ready else 503)


def _for_everybody(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report whose reasons have no paths of this machine, without counts of tokens."""
    shown = {name: value for name, value in report.items() if name != "prefixes"}
    short = {name: without_paths(report[name]) for name in ("reason", "problem") if name in report}
    models = {name: _for_everybody(each) for name, each in report.get("models", {}).items()}
    return shown | short | ({"models": models} if models else {})


def _report(frontend: Frontend, health: Health) -> dict[str, Any]:
    models = frontend.models
    report: dict[str, Any] = {"status": "ready" if health.ready else "not ready"}
    if not health.ready:
        report["reason"] = health.reason
    if (journal := frontend.journal.state) is not None:
        report["journal"] = journal
    if health.status is not None:
        report |= _of_backend(health.status)
        report["longest_pause_ms"] = round(frontend.pauses.longest() * 1000)
    if len(models.current) > 1:
        report["models"] = {each.name: _of_model(each) for each in models.current}
    if models.problem:
        report["problem"] = models.problem
    return report


def _of_backend(status: Status) -> dict[str, Any]:
    return {
        "model": status.model,
        "fingerprint": status.fingerprint,
        "context_length": status.context_length,
        "rows": {"seated": status.seated, "of": status.rows},
        "waiting": status.waiting,
        "prefixes": msgspec.structs.asdict(status.prefixes),
        "cache": {
            "committed_tokens": status.cache.committed,
            "tokens": status.cache.tokens,
            "token_bytes": status.cache.token_bytes,
        },
    }


def _of_model(slot: Slot) -> dict[str, Any]:
    """Return one of several models: its state, and what its backend has reported."""
    known, status = slot.state, slot.health().status
    found: dict[str, Any] = {"state": known.state, "fingerprint": known.fingerprint}
    found |= {"stage": known.stage, "reason": known.reason}
    if status is not None:
        found |= _of_backend(status)
        del found["model"]
    return {name: value for name, value in found.items() if value != ""}


DIALECT = Dialect(routes=routes, operations=OPERATIONS, error_body=error_body, open=True)
