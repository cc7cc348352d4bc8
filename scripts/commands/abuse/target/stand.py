"""The server under test: a stand. Its teams, its memory, its processes, and its own facts.

`OwnStand` starts a server of one worker, and a proxy in front of it. `FarStand` uses a running
server, with a token for each of two teams; nothing is known about its processes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import jwt
import psutil

from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.shot import COMPLETIONS
from commands.abuse.delivery.plan import Address
from commands.abuse.target import roles
from local.child import Child
from local.ports import LOCAL, free_ports
from local.processes import family
from local.server import ROOT, Server, ServerError

ATTACKER, WITNESS = "attacker", "witness"
TEMPLATE = Path(__file__).resolve().parent / "tools.jinja"
PATIENCE = 60.0
ROWS = 32
FILL_TIMEOUT = 300.0


class Stand(Protocol):
    """What a trial needs from a server."""

    def address_of(self, team: str, *, front: bool) -> Address: ...
    def stranger(self) -> Address: ...
    def facts(self) -> Facts: ...
    def memory(self) -> int: ...
    def processes(self) -> dict[int, str]: ...
    def quiet(self) -> bool: ...


class OwnStand:
    """A server and a proxy that we start ourselves."""

    def __init__(self, folder: Path, first_port: int, settings: Mapping[str, str]) -> None:
        self._secret, self._key = secrets.token_hex(32), secrets.token_hex(32)
        ours = {"PROXY_SECRET": self._secret, "JOURNAL": str(folder / "journal.db")}
        ours |= {"WORKERS": "1", "CHAT_TEMPLATE": str(TEMPLATE)}
        port, front = free_ports(first_port, 2)
        self._server = Server(folder, port, ours | dict(settings))
        environment = os.environ | {
            "JWT_SECRET": self._key,
            "PROXY_SECRET": self._secret,
            "PROXY_HOST": LOCAL,
            "PROXY_PORT": str(front),
            "UPSTREAM_URL": f"http://{LOCAL}:{port}",
        }
        command = (sys.executable, str(ROOT / "proxy" / "proxy.py"))
        self._proxy = Child("proxy", command, environment, Path.cwd(), folder / "proxy.log")
        self._front = front
        self.log = folder / "server.log"

    def start(self) -> None:
        """Start both, and wait until both are ready."""
        self._server.start()
        self._proxy.start()
        limit = time.monotonic() + PATIENCE
        while _get(Address(LOCAL, self._front), "/readiness")[0] != 200:
            if time.monotonic() > limit or not self._proxy.runs:
                raise ServerError(f"the proxy is not ready: {' | '.join(self._proxy.tail(4))}")
            time.sleep(0.1)

    def end(self) -> None:
        """End both."""
        self._proxy.kill()
        self._server.end()

    def address_of(self, team: str, *, front: bool) -> Address:
        """Return where a team sends: to the server, as its proxy does, or to the proxy."""
        if front:
            token = jwt.encode({"team_id": team, "token_id": team}, self._key, algorithm="HS256")
            return Address(LOCAL, self._front, (("Authorization", f"Bearer {token}"),))
        claims = (("X-Rowcast-Proxy-Secret", self._secret), ("X-Rowcast-Team", team))
        return Address(LOCAL, self._server.port, claims)

    def stranger(self) -> Address:
        """Return where callers without a token send."""
        return Address(LOCAL, self._front)

    def facts(self) -> Facts:
        """Return the facts of the model that it serves."""
        return facts_of(self.address_of(WITNESS, front=False))

    def memory(self) -> int:
        """Return the memory of all its processes, in bytes; shared memory counts once."""
        return roles.memory(self._family())

    def processes(self) -> dict[int, str]:
        """Return its live processes, by id, with the role of each."""
        return roles.named(self._server.pid, self._family())

    def quiet(self) -> bool:
        """True if only the witness has a row, and nothing waits for one."""
        return is_quiet(self.address_of(WITNESS, front=False))

    def _family(self) -> list[psutil.Process]:
        everyone = self._server.family() if self._server.runs else []
        if self._proxy.runs and self._proxy.pid is not None:
            everyone += family(self._proxy.pid)
        return everyone


@dataclass(frozen=True, slots=True)
class FarStand:
    """A server that already runs."""

    url: str
    tokens: Mapping[str, str] = field(repr=False)

    def address_of(self, team: str, *, front: bool) -> Address:  # noqa: ARG002  # there is only one
        """Return where a team sends."""
        where = urlsplit(self.url)
        identity = (("Authorization", f"Bearer {self.tokens[team]}"),)
        return Address(where.hostname or LOCAL, where.port or 80, identity)

    def stranger(self) -> Address:
        """Return where callers without a token send."""
        address = self.address_of(WITNESS, front=True)
        return Address(address.host, address.port)

    def facts(self) -> Facts:
        """Return the facts of the model that it serves."""
        return facts_of(self.address_of(WITNESS, front=True))

    def memory(self) -> int:
        """Return 0, since it is unknown."""
        return 0

    def processes(self) -> dict[int, str]:
        """Return nothing, since they are unknown."""
        return {}

    def quiet(self) -> bool:
        """True if only the witness has a row, and nothing waits for one."""
        return is_quiet(self.address_of(WITNESS, front=True))


def is_quiet(address: Address) -> bool:
    """True if only the witness has a row there, and nothing waits for one."""
    status, health = _get(address, "/health")
    rows = health.get("rows")
    seated = rows.get("seated", 99) if isinstance(rows, dict) else 99
    return status == 200 and health.get("waiting") == 0 and int(seated) <= 2


def fill_cache(address: Address, facts: Facts) -> None:
    """Write to every position of every row, so that their memory is not taken for an attack's.

    The system allocates the memory of the cache on first write.
    """
    prompt = [facts.vocabulary - 1] * (facts.context - 2)
    # Choices of one prompt: it is computed once, and its row is copied to the others.
    body = {"model": facts.model, "prompt": prompt, "n": ROWS, "max_tokens": 2, "ignore_eos": True}
    connection = http.client.HTTPConnection(address.host, address.port, timeout=FILL_TIMEOUT)
    with contextlib.closing(connection):
        connection.request("POST", COMPLETIONS, json.dumps(body), dict(address.identity))
        response = connection.getresponse()
        answer = response.read()
    if response.status != 200:
        raise ServerError(f"the cache was not filled: {response.status} {answer[:200]!r}")


def facts_of(address: Address) -> Facts:
    """Return the facts of the model that is served there."""
    health = _get(address, "/health")[1]
    context = int(str(health.get("context_length", 1024)))
    documents = _get(address, "/openapi.json")[1]
    return Facts(str(health.get("model", "falcon40b")), context, _largest_token(documents) + 1)


def _largest_token(documents: object) -> int:
    """Return the largest token id of the model, from the API documents."""
    if isinstance(documents, list):
        return max(map(_largest_token, documents), default=0)
    if not isinstance(documents, dict):
        return 0
    if documents.get("title") == "TokenId":
        return int(documents["maximum"])
    return _largest_token([*documents.values()])


def _get(address: Address, path: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    with contextlib.closing(connection), contextlib.suppress(OSError, ValueError):
        connection.request("GET", path, headers={"Connection": "close", **dict(address.identity)})
        response = connection.getresponse()
        answer: dict[str, object] = json.loads(response.read())
        return response.status, answer
    return 0, {}
