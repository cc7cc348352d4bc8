"""`scripts/serve` as a user starts it, on free ports, with its logs in the test's folder."""

import contextlib
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from processes import PATIENCE, Running, free_port, running, until

JWT_SECRET = "a secret for these tests, longer than thirty-two bytes"
PROXY_SECRET = "another-secret-for-these-tests"


@dataclass
class Stack:
    """A running `scripts/serve`."""

    running: Running
    logs: Path
    server_port: int

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def curl(self) -> str:
        """Return the line that the user is told to paste."""
        return next(each for each in self.said().splitlines() if each.startswith("curl "))

    @property
    def token(self) -> str:
        found = re.search(r"Bearer ([\w.-]+)", self.curl)
        assert found
        return found[1]

    def said(self) -> str:
        return self.running.output()

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to end it; fail if any process that it started remains."""
        return self.running.stop(how)


Start = Callable[..., contextlib.AbstractContextManager[Stack]]


@contextlib.contextmanager
def serving(
    folder: Path, *arguments: str, patience: float = PATIENCE, **env: str
) -> Iterator[Stack]:
    port, proxy_port = free_port(), free_port()
    variables = {
        "PORT": str(port),
        "PROXY_PORT": str(proxy_port),
        "JWT_SECRET": JWT_SECRET,
        "PROXY_SECRET": PROXY_SECRET,
        "STEP_SECONDS": "0.01",
        **env,
    }
    command = (sys.executable, "scripts/serve", "--logs", str(folder / "logs"), *arguments)
    said = folder / "said"
    with running(command, proxy_port, said, env=variables, patience=patience) as process:
        stack = Stack(process, folder / "logs", port)
        until(lambda: "Ready after" in stack.said(), "the line that says ready")
        if "--foreground" not in arguments:
            until(lambda: "Ctrl-C stops both" in stack.said(), "the invitation")
        yield stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack shared by tests that do not end it."""
    with serving(tmp_path_factory.mktemp("serve")) as one:
        yield one


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A function that starts a stack for one test."""
    return lambda *arguments, **env: serving(tmp_path, *arguments, **env)
