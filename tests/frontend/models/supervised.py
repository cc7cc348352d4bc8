"""A frontend of several models: a supervisor that the test plays over a socket, real backends.

`stage(folder)` yields a `Stage`: `played` is the supervisor's side, `backend(build)` starts a
scripted backend of a build in a thread, `client()` sends requests to the frontend.
"""

import contextlib
import json
import selectors
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from flask.testing import FlaskClient

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.errors import PeerGone
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.maker import ModelMaker
from rowcast.frontend.models.models import Models
from rowcast.frontend.models.supervision import SupervisorLink
from rowcast.frontend.resumable.disk_journal import DiskJournal
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.models.build import Build
from rowcast.models.connection import FrontendConnection, SupervisorConnection
from rowcast.models.messages import (
    BuildState,
    Done,
    Drop,
    FromFrontend,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)
from rowcast.settings import read_settings
from rowcast.transport.carriers import carrier
from rowcast.transport.streams import listen
from rowcast_http.client_watch import ClientWatch

from ..serving import PATIENCE, Client, kept_at


class Played:
    """The supervisor's end: records messages, shows the builds that it is given, answers Hold."""

    def __init__(self, path: Path) -> None:
        self.received: list[FromFrontend] = []
        self.holds: dict[str, int] = {}  # Hold and Hello, less Drop, by build
        self.answers = True  # each Hold with Held
        self.problem = ""  # with Load and Unload
        self.shown = Snapshot(())
        self.on_message: Callable[[FromFrontend], None] = lambda _: None
        self._path = path
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._connection: FrontendConnection | None = None
        self._closing = False
        self.begin()

    def begin(self) -> None:
        """Listen like a new supervisor."""
        self._closing = False
        self._listener = listen(str(self._path))
        self._thread = threading.Thread(target=self._run, name="played supervisor", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End like a supervisor that is killed."""
        self._closing = True
        self._thread.join(PATIENCE)
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self.holds.clear()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def show(self, *builds: BuildState, problem: str = "") -> None:
        with self._lock:
            self.shown = Snapshot(builds, problem)
            if self._connection is not None:
                self._connection.send(self.shown)

    def change(self, build: str, **changes: Any) -> None:
        """Show one build in another state."""
        with self._lock:
            self.show(
                *(
                    msgspec.structs.replace(each, **changes) if each.build.id == build else each
                    for each in self.shown.builds
                )
            )

    def answer(self, build: str) -> None:
        """Send Held."""
        with self._lock:
            assert self._connection is not None
            self._connection.send(Held(build))

    def got(self, kind: type[FromFrontend]) -> list[Any]:
        return [each for each in list(self.received) if isinstance(each, kind)]

    def _run(self) -> None:
        while not self._closing:
            if self._connection is None:
                with contextlib.suppress(BlockingIOError):
                    accepted, _ = self._listener.accept()
                    with self._lock:
                        self._connection = FrontendConnection(accepted)
                        self._connection.send(self.shown)
            else:
                self._read(self._connection)
            threading.Event().wait(0.001)

    def _read(self, connection: FrontendConnection) -> None:
        try:
            for message in connection.receive():
                self._take(message, connection)
        except PeerGone:
            with self._lock:
                self._connection = None
                self.holds.clear()

    def _take(self, message: FromFrontend, connection: FrontendConnection) -> None:
        with self._lock:
            self.received.append(message)
            match message:
                case Hello():
                    for build in message.holds:
                        self._hold(build, connection)
                case Hold():
                    self._hold(message.build, connection)
                case Drop():
                    self.holds[message.build] -= 1
                case Load() | Unload():
                    connection.send(Done(message.number, self.problem))
            self.on_message(message)

    def _hold(self, build: Build, connection: FrontendConnection) -> None:
        self.holds[build.id] = self.holds.get(build.id, 0) + 1
        if self.answers:
            connection.send(Held(build.id))


@dataclass
class Running:
    """One backend of a build."""

    engine: RecordedEngine
    backend: DecodeBackend
    thread: threading.Thread

    def stop(self) -> None:
        self.backend.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@dataclass
class Stage:
    """A frontend, its played supervisor, and its backends."""

    folder: Path
    played: Played
    frontend: Frontend
    backends: dict[str, Running] = field(default_factory=dict)

    def build(self, name: str, revision: int = 1, **entry: Any) -> Build:
        wanted: dict[str, Any] = {"variables": {"MODEL": "scripted"}, "load": "lazy"} | entry
        return Build(id=f"{name}-{revision}", name=name, **wanted)

    def state(self, build: Build, state: str = "ready", **known: Any) -> BuildState:
        wanted: dict[str, Any] = {"current": True, "pinned": state == "ready", "state": state}
        wanted |= {"context_length": 4096, "fingerprint": build.id, "loads": 1}
        return BuildState(build=build, url=str(self.folder / build.id), **wanted | known)

    def backend(self, build: Build, step_seconds: float = 0.0) -> RecordedEngine:
        """Start the backend of a build; its fingerprint is the build's id."""
        engine = RecordedEngine(step_seconds=step_seconds)
        engine.fingerprint = build.id
        port = carrier(str(self.folder / build.id)).listen()
        backend = DecodeBackend(port, lambda: engine)
        thread = threading.Thread(target=backend.run, name=build.id, daemon=True)
        thread.start()
        self.backends[build.id] = Running(engine, backend, thread)
        return engine

    def client(self) -> FlaskClient:
        app = create_app(self.frontend)
        app.test_client_class = Client
        return app.test_client()

    def await_names(self, *names: str) -> None:
        current = self.frontend.models
        until(lambda: [each.name for each in current.current] == [*names], "the names are known")

    def text(self, name: str, prompt: str, seed: int = 3, tokens: int = 5) -> str:
        """Send a prompt to a model; return the whole text."""
        response = self.client().post(
            f"/inference/{name}",
            json={"text": prompt, "seed": seed, "max_tokens": tokens},
            buffered=True,
        )
        assert response.status_code == 200, response.text
        return response.text


@contextmanager
def stage(folder: Path, *, journal: bool = False, **settings: Any) -> Iterator[Stage]:
    path = folder / "models.sock"
    played = Played(path)
    wanted: dict[str, Any] = {"model": "scripted", "load_seconds": PATIENCE}
    chosen = read_settings(**wanted | settings)
    kept: Journal = NoJournal()
    if journal:
        kept = DiskJournal(JournalClient(kept_at(folder / "journal.db")))
    link = SupervisorLink(partial(SupervisorConnection, str(path)))
    models = Models(chosen, link, ModelMaker(chosen, kept), kept)
    frontend = Frontend(chosen, ClientWatch(30), models, kept)
    made = Stage(folder, played, frontend)
    frontend.start()
    try:
        yield made
    finally:
        frontend.close()
        for each in made.backends.values():
            each.stop()
        played.end()


def events_of(body: bytes) -> Sequence[Any]:
    """Return the data of an event stream's events."""
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) if line != b"[DONE]" else "[DONE]" for line in lines]
