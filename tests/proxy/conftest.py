"""One fake upstream with proxies in front of it, shared by tests that do not break them."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from processes import ROOT, Running, free_port, running

from .clients import PROXY_SECRET, SECRET
from .fake_upstream import FakeUpstream, fake_upstream

ENTRY = (sys.executable, str(ROOT / "proxy" / "proxy.py"))


def running_proxy(
    folder: Path, upstream_url: str, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Running]:
    """Start the proxy as a user would."""
    port = free_port()
    settings = {
        "JWT_SECRET": SECRET,
        "PROXY_SECRET": PROXY_SECRET,
        "PROXY_PORT": str(port),
        "UPSTREAM_URL": upstream_url,
        **(env or {}),
    }
    return running(ENTRY, port, folder / f"proxy-{port}.log", env=settings, ready_path="/liveness")


@pytest.fixture(scope="session")
def one_upstream() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(one_upstream: FakeUpstream) -> Iterator[FakeUpstream]:
    """The server behind the proxies; tests set its `answer`."""
    one_upstream.forget()
    yield one_upstream
    one_upstream.forget()


@pytest.fixture(scope="session")
def proxy(
    one_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A proxy with the default limits."""
    with running_proxy(tmp_path_factory.mktemp("proxy"), one_upstream.url) as process:
        yield process


@pytest.fixture(scope="session")
def hasty_proxy(
    one_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A proxy with low limits."""
    limits = {
        "PROXY_BODY_LIMIT": "1000",
        "PROXY_BODY_TIMEOUT_S": "0.5",
        "PROXY_CLIENT_TIMEOUT_S": "1",
        "PROXY_KEEPALIVE_S": "1",
        "UPSTREAM_FIRST_BYTE_TIMEOUT_S": "0.5",
        "UPSTREAM_IDLE_TIMEOUT_S": "0.5",
    }
    folder = tmp_path_factory.mktemp("hasty")
    with running_proxy(folder, one_upstream.url, limits) as process:
        yield process
