"""Who may share computed prefixes: a key per request, which the backend compares and cannot read.

    verified team (and token), the body's `cache_salt`  ──HMAC──▶  Submit.prefix_key

Requests with equal keys share. The team comes from the verified claim alone, so a salt can only
divide a team's requests further: no body can join those of another team. `prefix_secret` is the
server's own, the same in all its processes. If there is a PREFIX_FOLDER, it is stored beside the
journal, or in that folder, so that stored prefixes have the same keys after a restart. The key has
no build in it, since a backend has only one.
"""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rowcast.frontend.request.identity import Caller
from rowcast.settings import PrefixScope, Settings

VARIABLE = "ROWCAST_PREFIX_SECRET"  # in the environment of all processes of a server
NOBODY = ""  # the key of requests that share with none
_BYTES = 32
_DIGITS = 32  # of a key: 128 bits


@dataclass(frozen=True, slots=True)
class PrefixKeys:
    """The keys of one model's requests."""

    secret: bytes
    scope: PrefixScope

    def key(self, caller: Caller, token_id: str, salt: str = "") -> str:
        """Return the key of a caller's request. `token_id`: of the token that first sent it."""
        if self.scope == "off" or not caller.known:
            return NOBODY
        token = token_id if self.scope == "token" else None
        if token == "" and caller.team:  # tokens without an id cannot be distinguished, either
            return NOBODY
        claims = json.dumps([caller.team, token, salt]).encode()
        return hmac.new(self.secret, claims, hashlib.sha256).hexdigest()[:_DIGITS]


NO_PREFIXES = PrefixKeys(b"", "off")


def prefix_secret(settings: Settings) -> str:
    """Return the secret of a server that starts, in hexadecimal digits."""
    if settings.prefix_folder is not None:
        beside = settings.journal_path or settings.prefix_folder / "prefixes"
        with suppress(OSError, ValueError):  # then no stored prefix is found after a restart
            return _stored(beside.with_suffix(".secret"))
    return secrets.token_hex(_BYTES)


def secret_of_process() -> bytes:
    """Return the secret that this process has inherited; a fresh one if it has none."""
    return bytes.fromhex(os.environ.get(VARIABLE, "")) or secrets.token_bytes(_BYTES)


def _stored(path: Path) -> str:
    """Return the secret in a file, which is created if it is missing. Raises OSError, ValueError.

    It appears with its content: of two servers that start at once, both read the same.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as fresh:  # only its owner reads it
            fresh.write(secrets.token_hex(_BYTES))
            fresh.flush()
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    found = path.read_text()
    if len(bytes.fromhex(found)) != _BYTES:
        raise ValueError(f"{path} has no secret of {_BYTES} bytes")
    return found
