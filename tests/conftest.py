"""Fixtures that several rooms share: mock servers for tests that do not break them."""

import signal
from collections.abc import Iterator

import pytest

from processes import Running, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An instant mock server. Leave it as you found it."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def paced_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A mock server that takes 10 ms a step, as a model would."""
    env = {"STEP_SECONDS": "0.01"}
    with running_server(tmp_path_factory.mktemp("paced"), env=env) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _hangups_are_heard() -> None:
    """A suite that runs under nohup would hand its deafness on to every process that it starts."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
