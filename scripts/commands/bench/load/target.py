"""One server to measure: its address, its dialect, and the bytes of a request to it.

In: a URL and the options of this server. Out: resolved socket addresses (once, so that no request
waits for a lookup) and complete HTTP/1.1 requests. Only http:// is supported.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from commands.bench.dialects.dialect import Dialect
from commands.bench.load.requests import Request


class BadTargetError(Exception):
    """A URL that cannot be measured; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address to connect to, and its name in the Host header."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int]
    host: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Target:
    """One server, and how to send requests to it."""

    label: str
    address: Address
    dialect: Dialect
    models: tuple[str, ...]
    path: str | None = None
    token: str | None = field(default=None, repr=False)
    keep_alive: bool = True
    echo: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def model_of(self, request: Request) -> str:
        """Return the model of a request: requests go to all models in turn."""
        return self.models[request.index % len(self.models)]

    def message(self, request: Request) -> bytes:
        """Return the bytes of one request."""
        model = self.model_of(request)
        body = self.dialect.body(request, model, echo=self.echo) | self.extra
        content = json.dumps(body).encode()
        path = self.address.prefix + (self.path or self.dialect.path(model))
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {self.address.host}",
            "User-Agent: rowcast-bench",
            f"Accept: {self.dialect.media_type}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            f"Connection: {'keep-alive' if self.keep_alive else 'close'}",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def resolve(url: str) -> Address:
    """Return a URL's first address."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http":
        raise BadTargetError(
            f"{url}: only http:// is measured here; put the bench on the server's side of TLS"
        )
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise BadTargetError(f"{url}: want http://HOST[:PORT][/PREFIX]")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise BadTargetError(f"{url}: {error}") from error
    family, _, _, _, sockaddr = found[0]
    return Address(
        family, (str(sockaddr[0]), int(sockaddr[1])), parts.netloc, parts.path.rstrip("/")
    )
