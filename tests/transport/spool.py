"""A toy carrier without EOF: messages are files in a folder, and a process that ends shows nothing.

    folder/current            the name of the backend that listens
    BACKEND/alive             touched while it lives; `ended` once it has closed
    BACKEND/NAME/alive        touched while that frontend lives; `closed` once it has closed
    BACKEND/NAME/commands-7   the frontend's eighth batch; `events-7` the backend's

As with a broker, each end proves its life from a thread of its own, and takes silence for the end.
A toy: it polls, and sets no limit to what a frontend leaves unread.
"""

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rowcast.errors import PeerGone
from rowcast.transport.ports import Arrival, FrontendId, Gone, Joined, Wait
from rowcast.wire import Command, Event, decode_commands, decode_events, encode

SILENCE = 3.0  # seconds without a beat that are taken for the end
BEAT = 0.2
LOOK = 0.002
SECONDS = 5.0  # how long a receive waits before it returns nothing


class Beats:
    """Proves life from a thread, by touching a file until it is stopped or its process ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._over = threading.Event()
        file.touch()
        threading.Thread(target=self._beat, name="beats", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(FileNotFoundError):
                self._file.touch()


def alive(file: Path) -> bool:
    """True if the file was touched lately."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - file.stat().st_mtime < SILENCE
    return False


@dataclass
class Queue:
    """Numbered files: one side writes them, the other reads each once."""

    folder: Path
    kind: str
    numbers: Iterator[int] = field(default_factory=itertools.count)
    next: int = 0

    def put(self, batch: Sequence[Command] | Sequence[Event]) -> None:
        part = self.folder / f"part-{uuid.uuid4()}"
        part.write_bytes(encode(batch))
        part.rename(self.folder / f"{self.kind}-{next(self.numbers)}")

    def take(self) -> bytes | None:
        """Return the next batch; None if it is not there."""
        file = self.folder / f"{self.kind}-{self.next}"
        if not file.exists():
            return None
        self.next += 1
        batch = file.read_bytes()
        file.unlink()
        return batch


class SpoolFrontendPort:
    """One frontend's end."""

    def __init__(self, folder: Path) -> None:
        self._current = folder / "current"
        if not self._current.exists():
            raise PeerGone(f"no backend looks into {folder}")
        self._backend = folder / self._current.read_text()
        self._mine = self._backend / f"new-{uuid.uuid4()}"
        if self._over():
            raise PeerGone(f"the backend of {folder} has ended")
        self._mine.mkdir()
        self.beats = Beats(self._mine / "alive")
        self._sending = threading.Lock()
        self._commands, self._events = Queue(self._mine, "commands"), Queue(self._mine, "events")

    def send(self, commands: Sequence[Command]) -> None:
        with self._sending:
            if self._over():
                raise PeerGone("the backend has ended")
            self._commands.put(commands)

    def receive(self, *, until_closed: bool = False) -> list[Event]:
        until = time.monotonic() + SECONDS
        while until_closed or time.monotonic() < until:
            over = self._over()
            if (batch := self._events.take()) is not None and not self._closed():
                return decode_events(batch)
            if over:
                raise PeerGone("the backend has ended")
            time.sleep(LOOK)
        return []

    def close(self) -> None:
        self.beats.stop()
        (self._mine / "closed").touch()

    def _closed(self) -> bool:
        return (self._mine / "closed").exists()

    def _over(self) -> bool:
        succeeded = self._current.read_text() != self._backend.name
        ended = succeeded or (self._backend / "ended").exists()
        return self._closed() or ended or not alive(self._backend / "alive")


class SpoolBackendPort:
    """The backend's end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / f"{uuid.uuid4()}"
        self._folder.mkdir()
        self.beats = Beats(self._folder / "alive")
        named = folder / f"part-{uuid.uuid4()}"
        named.write_text(self._folder.name)
        named.rename(folder / "current")
        self._names = itertools.count(1)
        self._known: dict[Path, FrontendId] = {}
        self._open: dict[FrontendId, tuple[Queue, Queue]] = {}  # commands, events

    def receive(self, timeout: float) -> list[Arrival]:
        until = time.monotonic() + timeout
        while not (arrived := list(self._arrived())) and time.monotonic() < until:
            time.sleep(LOOK)
        return arrived

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        if frontend in self._open:
            self._open[frontend][1].put(events)

    def close(self) -> None:
        self.beats.stop()
        (self._folder / "ended").touch()

    def _arrived(self) -> Iterator[Arrival]:
        for place in self._folder.glob("new-*"):
            if place not in self._known and (place / "alive").exists():
                name = self._known[place] = next(self._names)
                self._open[name] = (Queue(place, "commands"), Queue(place, "events"))
                yield name, Joined()
        for place, name in self._known.items():
            if name in self._open:
                yield from self._arrived_of(place, name)

    def _arrived_of(self, place: Path, name: FrontendId) -> Iterator[Arrival]:
        over = (place / "closed").exists() or not alive(place / "alive")
        while (batch := self._open[name][0].take()) is not None:
            yield from ((name, command) for command in decode_commands(batch))
        if over:
            del self._open[name]
            yield name, Gone()


@dataclass(frozen=True, slots=True)
class Spool:
    """The carrier. Its table line is `"spool": Spool`."""

    address: str

    @property
    def folder(self) -> None:
        """None: the launcher owns no part of it."""

    def listen(self) -> SpoolBackendPort:
        return SpoolBackendPort(Path(self.address))

    def connect(self, wait: Wait | None = None) -> SpoolFrontendPort:  # it has no socket
        return SpoolFrontendPort(Path(self.address))

    def remove(self) -> None:
        Path(self.address, "current").unlink(missing_ok=True)
