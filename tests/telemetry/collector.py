"""A collector of traces: a real HTTP server that stores the spans it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from json_responder import responding


@dataclass(frozen=True)
class Collected:
    """A span, as a collector reads it."""

    service: str
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def trace(self) -> str:
        return str(self.fields["traceId"])

    @property
    def attributes(self) -> dict[str, Any]:
        return values(self.fields["attributes"])

    @property
    def events(self) -> list[str]:
        return [str(each["name"]) for each in self.fields["events"]]


@dataclass
class Collector:
    """The collector's address, and what it was sent."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200

    def respond(self, _method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.status < 300:
            self.paths.append(path)
            self.bodies.append(body)
        return self.status, b"{}"

    @property
    def spans(self) -> list[Collected]:
        return [
            Collected(values(resource["resource"]["attributes"])["service.name"], span)
            for body in self.bodies
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def of(self, trace: str) -> dict[str, Collected]:
        """Return the spans of a trace by their service."""
        return {each.service: each for each in self.spans if each.trace == trace}


def values(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes by their names."""
    return {each["key"]: _value(each["value"]) for each in attributes}


def _value(value: dict[str, Any]) -> Any:
    ((kind, plain),) = value.items()
    if kind == "arrayValue":
        return [_value(each) for each in plain["values"]]
    return int(plain) if kind == "intValue" else plain


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs."""
    collector = Collector()
    with responding(collector.respond) as (url, headers):
        collector.url, collector.headers = url, headers
        yield collector
