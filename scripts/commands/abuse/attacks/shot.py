"""A shot: one request as a value, and how it is delivered. An attack: shots that arrive together.

Both can be written to a file and read again, so that a finding can be repeated byte by byte. They
contain no secrets: the sender adds the credentials.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

STREAM = "{stream}"  # in a path: the id of the stream that the attack's opening started
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One request. `raw` replaces the request's bytes."""

    path: str = COMPLETIONS
    body: bytes = field(default=b"", repr=False)
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = field(default=None, repr=False)
    copies: int = 1  # connections that send it
    width: int = 0  # maximum at once; 0: all
    times: int = 1  # on each connection, without waiting for answers
    missing: int = 0  # bytes at the end that are announced but never sent
    drip: float = 0.0  # seconds between two bytes
    reads: bool = True  # False: does not read the answer
    hold: float = 0.0  # seconds that the connection stays open, with the end unread
    leave: float = 0.0  # seconds until it is closed in any case; 0: never
    stranger: bool = False  # sent without a token

    @classmethod
    def of(cls, body: Mapping[str, object], path: str = COMPLETIONS, **more: Any) -> Self:
        """Return a shot with a JSON body."""
        return cls(path=path, body=json.dumps(body, ensure_ascii=False).encode(), **more)

    def request(self, identity: tuple[tuple[str, str], ...], stream: str = "") -> bytes:
        """Return what one connection sends."""
        if self.raw is not None:
            return self.raw
        last = self._request(identity, stream, "close")
        if self.times == 1:
            return last
        return self._request(identity, stream, "keep-alive") * (self.times - 1) + last

    def _request(self, identity: tuple[tuple[str, str], ...], stream: str, ending: str) -> bytes:
        lines = [
            f"{self.method} {self.path.replace(STREAM, stream)} HTTP/1.1",
            "Host: localhost",
            f"Connection: {ending}",
            *(f"{name}: {value}" for name, value in (*self.headers, *identity)),
        ]
        if self.body or self.missing or self.method == "POST":
            lines.append(f"Content-Length: {len(self.body) + self.missing}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What one team sends at once, with a name."""

    kind: str
    shots: tuple[Shot, ...]
    opening: Shot | None = None  # sent and answered first; its stream's id fills the paths
    seed: int = 0
    number: int = 0

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), default=_packed))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        fields = json.loads(path.read_text())
        opening = fields["opening"]
        return cls(
            kind=fields["kind"],
            shots=tuple(map(_shot, fields["shots"])),
            opening=_shot(opening) if opening else None,
            seed=fields["seed"],
            number=fields["number"],
        )

    @property
    def described(self) -> str:
        """A description in one line."""
        return "; ".join(_described(shot) for shot in self.shots[:3])


def _packed(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b85encode(zlib.compress(value)).decode()
    raise TypeError(f"a shot holds no {type(value).__name__}")


def _unpacked(value: str) -> bytes:
    return zlib.decompress(base64.b85decode(value))


def _shot(fields: dict[str, Any]) -> Shot:
    raw = None if fields["raw"] is None else _unpacked(fields["raw"])
    headers = tuple((name, value) for name, value in fields["headers"])
    return Shot(**{**fields, "body": _unpacked(fields["body"]), "raw": raw, "headers": headers})


def _described(shot: Shot) -> str:
    what = "raw bytes" if shot.raw is not None else f"{shot.method} {shot.path}"
    size = len(shot.raw if shot.raw is not None else shot.body)
    copies = f" x {shot.copies}" if shot.copies > 1 else ""
    times = f", {shot.times} on each connection" if shot.times > 1 else ""
    return f"{what}, {size:,} bytes{copies}{times}"
