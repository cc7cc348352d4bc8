"""Fixtures of the contract tests: a server behind its proxy, and a server of a real model."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from processes import (
    ROOT,
    SERVER,
    Running,
    free_port,
    running,
    running_proxy,
    running_server,
)

JWT_SECRET = "a-secret-for-the-contract-tests-only"
PROXY_SECRET = "shared-by-both-processes-of-the-tests"


LOADING = 120.0  # seconds; the kernels are compiled on first use


@dataclass(frozen=True)
class Stack:
    """A proxy, the server behind it, and a token that the proxy accepts."""

    proxy: Running
    server: Running
    authorization: str


def encoded(claims: str, secret: str = JWT_SECRET) -> str:
    """Return what `jwt_util.py encode` prints for these claims."""
    command = [sys.executable, "scripts/jwt_util.py", "--secret", secret, "encode", claims]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An instant server behind a proxy; both have the shared secret."""
    folder = tmp_path_factory.mktemp("stack")
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    token = encoded('{"team_id": "tenstorrent", "token_id":"debug-test"}')
    with (
        running_server(folder, env=secrets) as server,
        running_proxy(folder, server, env=secrets) as proxy,
    ):
        yield Stack(proxy, server, f"Bearer {token}")


@pytest.fixture(scope="session")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the smaller bundled model, whose replies depend on every parameter."""
    folder, port = tmp_path_factory.mktemp("draft"), free_port()
    env = {"PORT": str(port), "MODEL": "draft", "DTYPE": "float32", "JOURNAL": "off"}
    with running(SERVER, port, folder / "log", env=env, patience=LOADING) as server:
        yield server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of `draft` one after the other: one process then starts it, not all three."""
    items.sort(key=lambda each: "draft" not in getattr(each, "fixturenames", ()))
