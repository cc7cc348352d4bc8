"""One server in this process, shared by all tests that leave it as they found it."""

import sys
from collections.abc import Iterator

import pytest

from .serving import Served, serving


@pytest.fixture(scope="session")
def one_server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def served(one_server: Served) -> Iterator[Served]:
    """The shared server; each test leaves it idle."""
    one_server.engine.seatings.clear()
    one_server.engine.steps.clear()
    yield one_server
    one_server.await_idle()


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads that change places as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
