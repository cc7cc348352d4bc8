"""One request to send: its bytes, and the form of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

Form = Literal["raw", "events", "json"]  # bytes as they are, server-sent events, one object


@dataclass(frozen=True, slots=True)
class Request:
    """A request; equal requests have equal answers."""

    kind: str
    form: Form
    path: str
    body: bytes = field(repr=False)
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    missing: int = 0  # bytes at the end that are announced but never sent

    @classmethod
    def of(cls, kind: str, form: Form, path: str, body: dict[str, object]) -> Self:
        """Return a request with a JSON body."""
        return cls(kind, form, path, json.dumps(body).encode())

    @property
    def message(self) -> bytes:
        """The bytes to send, on a new connection."""
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body[
            : len(self.body) - self.missing
        ]

    @property
    def model(self) -> str:
        """The name of the model that it is sent to: in its body, or last in its path."""
        return str(json.loads(self.body).get("model") or self.path.rpartition("/")[2])

    def to_model(self, name: str) -> Self:
        """Return the same request to another model."""
        body = json.loads(self.body)
        if "model" in body:
            return replace(self, body=json.dumps(body | {"model": name}).encode())
        return replace(self, path=f"{self.path.rpartition('/')[0]}/{name}")

    def keyed(self, key: str) -> Self:
        """Return the same request with an idempotency key."""
        return self.with_headers({"Idempotency-Key": key})

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the same request with more headers."""
        return replace(self, headers=(*self.headers, *headers.items()))

    def plain(self) -> Self:
        """Return the same request without its headers; it has the same answer."""
        return replace(self, headers=())

    def rest(self, stream: str, position: str) -> Self:
        """Return the request for the rest of its answer."""
        path = f"/v1/streams/{stream}?from={position}"
        return replace(self, path=path, body=b"", method="GET", headers=())
