"""The models of a running server, as its list describes them.

In: the answer of `GET /models`. Out: a `Model` per model, however many names it is listed under.
Fields that a server does not send have defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from http_client.json_server import JsonServer, Unreachable

PATH = "/models"
STATES = {"loaded": "ready"}  # for servers that report `status` alone


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `fields`: its object in the server's list."""

    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields["id"])

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(map(str, self.fields.get("aliases") or ()))

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.fields.get("status") or {})

    @property
    def state(self) -> str:
        value = self.status.get("value", "")
        return str(self.fields.get("state") or STATES.get(value, value))

    @property
    def stage(self) -> str:
        """What its load is doing, or waiting for."""
        return str(self.status.get("stage") or "")

    @property
    def reason(self) -> str:
        """Why its last load failed."""
        return str(self.status.get("reason") or "")

    @property
    def others(self) -> tuple[Model, ...]:
        """Other builds of its name: older ones with sessions, or a newer one that is loading."""
        return tuple(Model({"id": self.name, **each}) for each in self.fields.get("others") or ())

    @property
    def loads(self) -> int:
        """How often it was loaded."""
        return int(self.number("loads"))

    def text(self, name: str) -> str:
        return str(self.fields.get(name) or "")

    def number(self, name: str) -> float:
        return float(self.fields.get(name) or 0)


def models_of(server: JsonServer) -> list[Model]:
    """Return the server's models in its order. Raises Refused and Unreachable."""
    answer = server.get(PATH)
    try:
        return list(_each_once(Model(dict(each)) for each in answer["data"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"{server.url} returned no list of models: {error!r}") from None


def model_of(server: JsonServer, name: str) -> Model:
    """Return the model of this name. Raises Unreachable if it is not listed any more."""
    for each in models_of(server):
        if name in (each.name, *each.aliases):
            return each
    raise Unreachable(f"{server.url} does not list {name} any more")


def _each_once(models: Iterable[Model]) -> Iterable[Model]:
    """Yield the models that are listed under their own name; the others are aliases of these."""
    for each in models:
        if each.fields.get("root", each.name) == each.name:
            yield each
