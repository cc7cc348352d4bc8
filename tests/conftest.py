"""Shared fixtures: mock servers for tests that do not break them."""

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import Running, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An instant mock server. Leave it as you found it."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def paced_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A mock server that takes 10 ms per step, as a model would."""
    env = {"STEP_SECONDS": "0.01"}
    with running_server(tmp_path_factory.mktemp("paced"), env=env) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _hangups_are_heard() -> None:
    """Restore signals that every process of the suite would ignore under nohup or `&`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of the longest time limits: the end of the run has short tests only."""
    limits: dict[Path, float] = {}
    for each in items:
        marker = each.get_closest_marker("timeout")
        limits[each.path] = max(limits.get(each.path, 0.0), marker.args[0] if marker else 0.0)
    items.sort(key=lambda each: -limits[each.path])


gc.disable()  # until all tests are collected, since what is imported stays


def pytest_collection_finish() -> None:
    """Leave out of each garbage collection what exists by now: it takes seconds, and stays."""
    gc.freeze()
    gc.enable()
