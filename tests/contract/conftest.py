"""What contract tests share: the two commands' outcome, a server with its proxy in front."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from processes import ROOT, Running, running_proxy, running_server

JWT_SECRET = "a-secret-for-the-contract-tests-only"
PROXY_SECRET = "shared-by-both-processes-of-the-tests"


@dataclass(frozen=True)
class Stack:
    """A proxy, the server behind it, and a token that the proxy accepts."""

    proxy: Running
    server: Running
    authorization: str


def encoded(claims: str, secret: str = JWT_SECRET) -> str:
    """What `jwt_util.py encode` prints for these claims."""
    command = [sys.executable, "scripts/jwt_util.py", "--secret", secret, "encode", claims]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An instant server behind a proxy; both know the shared secret."""
    folder = tmp_path_factory.mktemp("stack")
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    token = encoded('{"team_id": "tenstorrent", "token_id":"debug-test"}')
    with (
        running_server(folder, env=secrets) as server,
        running_proxy(folder, server, env=secrets) as proxy,
    ):
        yield Stack(proxy, server, f"Bearer {token}")
