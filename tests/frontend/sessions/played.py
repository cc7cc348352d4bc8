"""A backend that the test plays itself, over the memory transport: it reads commands, sends events.

`Road` connects `Sessions` to one played backend after another, so that a test decides when a
backend starts, what it sends and when it dies.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from processes import until
from rowcast.errors import PeerGone
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.meter import Meter
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.sampling_params import SamplingParams
from rowcast.transport.memory import MemoryFrontendPort, MemoryTransport
from rowcast.wire import Cancel, Event, Status, Submit, Tokens

PATIENCE = 20.0
STATUS = Status("scripted", "scripted-1", 4096, rows=32, seated=0, waiting=0, steps=0)
PROMPT = Submit("", 0, (72, 105), SamplingParams(max_tokens=99), seed=1)


class Backend:
    """One backend, from its start to its death."""

    def __init__(self) -> None:
        self._transport = MemoryTransport()
        self._commands: list[Submit | Cancel] = []
        self._frontend = 0

    def connect(self) -> MemoryFrontendPort:
        return self._transport.connect()

    def await_frontend(self) -> None:
        while not self._frontend:
            self._receive()

    def commands(self, count: int) -> list[Submit | Cancel]:
        """Return the next `count` commands."""
        limit = time.monotonic() + PATIENCE
        while len(self._commands) < count:
            assert time.monotonic() < limit, f"wanted {count} commands: {self._commands}"
            self._receive()
        taken, self._commands = self._commands, []
        assert len(taken) == count, taken
        return taken

    def hears_nothing(self) -> bool:
        """True if no command has arrived, now that all that were sent have been read."""
        self._receive(0.0)
        return not self._commands

    def submitted(self) -> Submit:
        (command,) = self.commands(1)
        assert isinstance(command, Submit)
        return command

    def say(self, *events: Event) -> None:
        self._transport.backend_port.send(self._frontend, events)

    def say_tokens(self, choice: Choice, index: int, *tokens: int) -> None:
        self.say(Tokens(choice.submit.session, 0, index, tokens))

    def die(self) -> None:
        self._transport.backend_port.close()

    def _receive(self, timeout: float = 0.05) -> None:
        for frontend, arrival in self._transport.backend_port.receive(timeout):
            self._frontend = frontend
            if isinstance(arrival, Submit | Cancel):
                self._commands.append(arrival)


class Road:
    """Sessions, and the current backend, if any."""

    def __init__(
        self,
        *,
        silence_seconds: float = 60.0,
        recovery_seconds: float = 60.0,
        meter: Meter | None = None,
    ) -> None:
        self._backend: Backend | None = None
        self.sessions = Sessions(
            self._connect,
            silence_seconds=silence_seconds,
            recovery_seconds=recovery_seconds,
            meter=meter,
        )

    def open(self, prompt: Submit) -> Choice:
        """Open a session of one choice."""
        return open_choices(self.sessions, prompt)[0]

    def open_all(self, choices: Sequence[Submit]) -> tuple[Choice, ...]:
        """Open a session of one prompt with these choices."""
        return open_choices(self.sessions, *choices)

    def begin(self, status: Status | None = STATUS) -> Backend:
        """Replace the current backend, which dies, by a new one that sends its status."""
        self.lose()
        backend = self._backend = Backend()
        backend.await_frontend()
        if status is not None:
            backend.say(status)
        return backend

    def ready(self, status: Status = STATUS) -> Backend:
        """Start a new backend, and wait until the sessions have its status."""
        backend = self.begin(status)
        until(lambda: self.sessions.health().ready, "the sessions are ready", PATIENCE)
        return backend

    def break_off(self) -> None:
        """Kill the backend; do not wait until the sessions notice."""
        if self._backend is not None:
            backend, self._backend = self._backend, None
            backend.die()

    def lose(self) -> None:
        """Kill the backend, and wait until the sessions notice."""
        if self._backend is not None:
            self.break_off()
            until(lambda: not self.sessions.health().ready, "the loss is seen", PATIENCE)

    def _connect(self) -> MemoryFrontendPort:
        backend = self._backend  # another thread replaces it
        if backend is None:
            raise PeerGone("no backend listens")
        return backend.connect()


@contextmanager
def road(
    *,
    silence_seconds: float = 60.0,
    recovery_seconds: float = 60.0,
    meter: Meter | None = None,
) -> Iterator[Road]:
    """A road that is closed at the end of the test."""
    made = Road(silence_seconds=silence_seconds, recovery_seconds=recovery_seconds, meter=meter)
    made.sessions.start()
    yield made
    made.sessions.close()


def open_choices(sessions: Sessions, *choices: Submit) -> tuple[Choice, ...]:
    """Open a session of one prompt with these choices."""
    return sessions.open(Origin.fresh("/", b"", None, ""), Caller(), "", [choices]).choices


def events_of(choice: Choice, count: int) -> list[Event]:
    """Return the next `count` events of a choice, however they are batched."""
    found: list[Event] = []
    limit = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < limit, f"wanted {count} events: {found}"
        found += choice.take(0.5)
    assert len(found) == count, found
    return found
