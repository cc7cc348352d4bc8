"""What a reply is computed from: a request as it has come, or as it was recorded.

Also who may ask for it again, and how much of it the asker has.
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
    """Where a reply comes from. The same path, body and seed are the same reply."""

    id: str
    path: str
    body: bytes
    seed: int  # for a body that names none
    created: float
    key: str | None = None
    record: Record | None = None  # of one that is asked for again
    start: str = ""  # what of it has been told, in the words of its events' ids

    @classmethod
    def fresh(cls, path: str, body: bytes, key: str | None, team: str) -> Self:
        """Of a request that has just come. With a key its seed is a function of the key."""
        now = time.time()
        return cls(
            id=f"{int(now * 1000):012x}{secrets.token_hex(12)}",  # in the order of their coming
            path=path,
            body=body,
            seed=fresh_seed() if key is None else seed_of(team, key),
            created=now,
            key=key,
        )

    @classmethod
    def recorded(cls, record: Record, start: str = "") -> Self:
        """Of a request that came before."""
        return cls(
            id=record.id,
            path=record.path,
            body=record.body,
            seed=record.seed,
            created=record.created,
            key=record.key,
            record=record,
            start=start,
        )

    def bytes_told(self) -> int:
        """How much of a body without events its reader has."""
        if self.start and not _BYTES.fullmatch(self.start):
            raise InvalidField(
                "from", f"is {self.start[:80]!r}; send the number of bytes you have, in digits"
            )
        return int(self.start or 0)

    def is_of(self, record: Record) -> bool:
        """Whether this is the request that was recorded."""
        return (self.path, self.body) == (record.path, record.body)


def key_of(headers: Headers) -> str | None:
    """The request's idempotency key."""
    key = headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidField(KEY_HEADER, "must be 1 to 255 visible ASCII characters")
    return key


def seed_of(team: str, key: str) -> int:
    """A seed that any process gives to the same key."""
    digest = hashlib.sha256(f"{team}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) % FRESH_SEEDS
