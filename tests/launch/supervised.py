"""A supervisor of scripted models in a process of its own, and frontends that connect to it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from backend.driven import submit
from processes import ROOT, family, gone, launchers, until
from rowcast.models.connection import SupervisorConnection
from rowcast.models.messages import (
    BuildState,
    Drop,
    FromFrontend,
    FromSupervisor,
    Held,
    Hello,
    Hold,
    Snapshot,
)
from rowcast.transport.unix_socket import UnixFrontendPort
from rowcast.wire import Event, Finished, Tokens

PATIENCE = 30.0
# Each scripted model needs 60 bytes of memory.
SUPERVISOR = """
import sys
from rowcast import engines
from rowcast.engine import scripted_engine
from rowcast.engine.loading.needs import Needs
from rowcast.launch.__main__ import main

engines.NEEDS["scripted"] = lambda settings: Needs(60, "weights 60 bytes")
sys.exit(main())
"""


@dataclass
class Frontend:
    """A connection to the supervisor, and all that it has received."""

    connection: SupervisorConnection
    received: list[FromSupervisor] = field(default_factory=list)

    def send(self, message: FromFrontend) -> None:
        self.connection.send(message)

    def wait_for(self, true: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < limit, f"waited in vain for {what}: {self.states()}"
            self.received += self.connection.receive()

    @property
    def shown(self) -> Snapshot:
        self.wait_for(lambda: any(isinstance(e, Snapshot) for e in self.received), "a snapshot")
        return next(each for each in reversed(self.received) if isinstance(each, Snapshot))

    def states(self) -> dict[str, str]:
        found = [each for each in self.received if isinstance(each, Snapshot)]
        return {e.build.name: e.state for e in found[-1].builds if e.current} if found else {}

    def current(self, name: str) -> BuildState:
        return next(each for each in self.shown.builds if each.current and each.build.name == name)

    def hold(self, name: str) -> BuildState:
        """Hold the current build of a name, and wait until it is ready."""
        build = self.current(name).build
        self.send(Hold(build))
        self.wait_for(lambda: Held(build.id) in self.received, f"{name} is held")
        return self.await_state(name, "ready")

    def drop(self, name: str) -> None:
        self.received = [e for e in self.received if e != Held(self.current(name).build.id)]
        self.send(Drop(self.current(name).build.id))

    def await_state(self, name: str, state: str) -> BuildState:
        self.wait_for(lambda: self.states().get(name) == state, f"{name} is {state}")
        return self.current(name)


@dataclass
class Supervised:
    """A supervisor, its folder and its file of models."""

    process: subprocess.Popen[str]
    folder: Path
    models: Path
    env: dict[str, str]
    program: str

    def start(self) -> None:
        command = [sys.executable, "-c", self.program]
        self.process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, text=True)

    def kill(self) -> None:
        everyone = family(self.process.pid)
        self.process.kill()
        self.process.wait(PATIENCE)
        until(lambda: gone(everyone), "the end of all", PATIENCE)

    def connect(self) -> Frontend:
        path = self.folder / "models.sock"
        until(path.exists, "the supervisor listens", PATIENCE)
        frontend = Frontend(SupervisorConnection(str(path)))
        frontend.send(Hello(os.getpid()))
        return frontend

    def launchers(self, name: str) -> list[psutil.Process]:
        return launchers(psutil.Process(self.process.pid), name)

    def list_models(self, **models: object) -> None:
        part = self.models.with_suffix(".part")
        part.write_text(json.dumps(models))
        part.replace(self.models)


@contextlib.contextmanager
def supervised(
    folder: Path, memory: int = 1000, program: str = SUPERVISOR, **models: object
) -> Iterator[Supervised]:
    """Run a supervisor of these models, each of which needs 60 bytes."""
    home = folder / "home"
    home.mkdir()
    listed = folder / "models.json"
    made = Supervised.__new__(Supervised)
    made.folder, made.models, made.program = home, listed, program
    made.list_models(**models)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "inference-api"),
        "ROWCAST_MODELS_SOCKET": str(home / "models.sock"),
        "MODELS": str(listed),
        "MODELS_MEMORY": str(memory),
    }
    made.env = env
    made.start()
    try:
        yield made
    finally:
        made.kill()


LAZY = {"model": "scripted", "load": "lazy"}
START = {"model": "scripted", "load": "start"}


def reply(url: str, text: bytes, tokens: int) -> tuple[int, ...]:
    """Return the tokens of a reply of the backend at `url`."""
    port = UnixFrontendPort(url)
    port.send([submit("one", text, max_tokens=tokens)])
    events: list[Event] = []
    while not any(isinstance(event, Finished) for event in events):
        events += port.receive()
    port.close()
    return tuple(t for event in events if isinstance(event, Tokens) for t in event.tokens)
