"""Servers that a test may break, each with its own folder for temporary files."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processes import Running, running_server

Start = Callable[..., Running]


@pytest.fixture
def leftovers() -> Iterator[Path]:
    """The folder where the test's servers keep their sockets; empty if nothing is left behind.

    Its path is short, as paths of sockets have to be.
    """
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path: Path, leftovers: Path) -> Iterator[Start]:
    """Start a mock server with these settings; it is ended with the test."""
    with contextlib.ExitStack() as servers:

        def start(**settings: object) -> Running:
            env = {"TMPDIR": str(leftovers), **{k: str(v) for k, v in settings.items()}}
            return servers.enter_context(running_server(tmp_path, env=env))

        yield start
