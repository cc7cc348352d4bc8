"""The input of a reply: a request as it arrived, or as it was recorded.

Also the idempotency key, and how much of the reply the reader has.
"""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import Self

from werkzeug.datastructures import Headers

from rowcast.errors import InvalidField
from rowcast.frontend.request.prompt import FRESH_SEEDS, fresh_seed
from rowcast.journal.record import Record

KEY_HEADER = "Idempotency-Key"
_BYTES = re.compile(r"[0-9]{1,12}")
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a reply comes from. The same path, body and seed give the same reply."""

    id: str
    path: str
    body: bytes
    seed: int  # for a body without a seed
    created: float
    token_id: str = ""  # of the token that sent it first
    key: str | None = None
    record: Record | None = None  # of a request sent before
    start: str = ""  # what the reader has, in the format of event ids

    @classmethod
    def fresh(
        cls,
        path: str,
        body: bytes,
        key: str | None,
        team: str,
        start: str = "",
        *,
        token_id: str = "",
        stream: str = "",
    ) -> Self:
        """Return the origin of a new request. With a key, the seed is a function of the key.

        `start`: what its sender already has of the stream with the same key. `stream`: its id, if
        that was sent already.
        """
        return cls(
            id=stream or fresh_id(),
            path=path,
            body=body,
            seed=fresh_seed() if key is None else seed_of(team, key),
            created=time.time(),
            token_id=token_id,
            key=key,
            start=start,
        )

    @classmethod
    def recorded(cls, record: Record, start: str = "") -> Self:
        """Return the origin of a recorded request."""
        return cls(
            id=record.id,
            path=record.path,
            body=record.body,
            seed=record.seed,
            created=record.created,
            token_id=record.token_id,
            key=record.key,
            record=record,
            start=start,
        )

    def received_bytes(self) -> int:
        """Return how many bytes the reader has of a body without events."""
        if self.start and not _BYTES.fullmatch(self.start):
            raise InvalidField(
                "from", f"is {self.start[:80]!r}; send the number of bytes you have, in digits"
            )
        return int(self.start or 0)

    def is_of(self, record: Record) -> bool:
        """Return whether this is the recorded request."""
        return (self.path, self.body) == (record.path, record.body)


def fresh_id() -> str:
    """Return a new id; ids sort by time."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(12)}"


def key_of(headers: Headers) -> str | None:
    """Return the request's idempotency key."""
    key = headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidField(KEY_HEADER, "must be 1 to 255 visible ASCII characters")
    return key


def seed_of(team: str, key: str) -> int:
    """Derive a seed from the key, the same in every process."""
    digest = hashlib.sha256(f"{team}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) % FRESH_SEEDS
