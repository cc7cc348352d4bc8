"""The states of a server's models, as it reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from commands.chaos.traffic.request import Request
from local.server import Server


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A server's report on the current build of one name."""

    state: str
    fingerprint: str
    needs: int  # bytes
    loads: int
    load_seconds: float


PATH, UNLOAD = "/models", "/models/unload"
REPORT = Request("models", "json", PATH, b"", method="GET")


def models_of(server: Server) -> dict[str, ModelReport]:
    """Return the report on each model, by its name."""
    return parsed(server.health(PATH))


def parsed(answer: dict[str, Any]) -> dict[str, ModelReport]:
    """Return the reports in an answer."""
    return {each["id"]: _report(each) for each in answer.get("data", [])}


def _report(found: dict[str, Any]) -> ModelReport:
    return ModelReport(
        found["state"],
        found.get("fingerprint") or "",
        found.get("bytes") or 0,
        found.get("loads") or 0,
        found.get("load_seconds") or 0.0,
    )


def unload(name: str) -> Request:
    """Return a request that unloads a model."""
    return Request.of("unload", "json", UNLOAD, {"model": name})
