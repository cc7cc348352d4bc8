"""Mock servers, a proxy with short limits in front of one, and the corpus sent to both.

The server that is addressed directly has no secret; with one it would serve only a proxy.
"""

import sys
from collections.abc import Iterator

import jwt
import pytest

from processes import Running, free_port, running, running_server

from .case import BODY_LIMIT, HOST
from .target import Target
from .volley import Volley

JWT_SECRET = "a secret of the tests, which nobody else has any use for"
PROXY_SECRET = "another secret of the tests"
SECONDS = "2"
PROXY = (sys.executable, "proxy/proxy.py")


LIMITS = {"BODY_BYTES": str(BODY_LIMIT), "BODY_SECONDS": SECONDS, "HEADER_SECONDS": SECONDS}


@pytest.fixture(scope="session")
def hasty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    env = {**LIMITS, "ALLOWED_HOSTS": HOST.removeprefix(b"Host: ").decode()}
    with running_server(tmp_path_factory.mktemp("http"), env=env) as server:
        yield server


@pytest.fixture(scope="session")
def server_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    env = {**LIMITS, "PROXY_SECRET": PROXY_SECRET}
    with running_server(tmp_path_factory.mktemp("http"), env=env) as server:
        yield server


@pytest.fixture(scope="session")
def hasty_proxy(
    server_behind: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    port = free_port()
    env = {
        "JWT_SECRET": JWT_SECRET,
        "PROXY_SECRET": PROXY_SECRET,
        "PROXY_PORT": str(port),
        "UPSTREAM_URL": server_behind.url,
        "PROXY_BODY_LIMIT": str(BODY_LIMIT),
        "PROXY_BODY_TIMEOUT_S": SECONDS,
        "PROXY_KEEPALIVE_S": SECONDS,
    }
    log = tmp_path_factory.mktemp("http") / "proxy.log"
    with running(PROXY, port, log, env=env) as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["server", "proxy"])
def tested(request: pytest.FixtureRequest) -> list[Running]:
    """Return the processes of one target; requests go to the last of them."""
    names = ["hasty_server"] if request.param == "server" else ["server_behind", "hasty_proxy"]
    return [request.getfixturevalue(name) for name in names]


@pytest.fixture(scope="session")
def target(tested: list[Running]) -> Target:
    token = jwt.encode({"team_id": "corpus", "token_id": "one"}, JWT_SECRET, algorithm="HS256")
    return Target(tested[-1].port, token, is_proxy=len(tested) > 1)


@pytest.fixture(scope="session")
def volley(target: Target, tested: list[Running]) -> Iterator[Volley]:
    volley = Volley(target, tested)
    yield volley
    volley.close()
