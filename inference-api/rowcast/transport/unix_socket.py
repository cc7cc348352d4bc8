"""Both ports over a Unix stream socket: one frame of msgpack per batch.

The backend listens, frontends connect. A dead peer is seen at once as EOF, on either side, which a
message broker or a multiprocessing queue would not show. The backend never waits for a frontend:
unread data is buffered up to a limit; beyond it the frontend counts as gone.
"""

import itertools
import selectors
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rowcast.errors import PeerGone
from rowcast.transport.descriptors import Accepting
from rowcast.transport.ports import Arrival, FrontendId, Gone, Joined, Wait
from rowcast.transport.streams import AcceptedStream, ConnectedStream, listen
from rowcast.wire import (
    Command,
    Event,
    decode_commands,
    decode_events,
    encode,
    encode_events,
)

MAX_UNREAD = 64 << 20


class UnixFrontendPort(ConnectedStream[Sequence[Command], Event]):
    """A frontend's end."""

    def __init__(self, path: str, wait: Wait | None = None) -> None:
        super().__init__(path, "backend", encode, decode_events, wait)


class _Frontend(AcceptedStream[Sequence[Event], Command]):
    """One frontend, seen from the backend."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted, "frontend", encode_events, decode_commands, MAX_UNREAD)
        self.awaited = selectors.EVENT_READ  # what the selector reports of it

    @property
    def wanted(self) -> int:
        """What the selector has to report of it."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.has_unsent else 0)


class UnixBackendPort:
    """The backend's end: one thread, which waits only in `receive`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = listen(path)
        self._selector = selectors.DefaultSelector()
        self._accepting = Accepting(self._listener, self._selector, None, "backend")
        self._streams: dict[FrontendId, _Frontend] = {}
        self._names = itertools.count(1)
        self._arrivals: list[Arrival] = []

    def receive(self, timeout: float) -> list[Arrival]:
        seconds = self._accepting.seconds(0 if self._arrivals else timeout)
        for key, ready in self._selector.select(seconds):
            if key.data is None:
                self._accept()
            else:
                self._serve(key.data, ready)
        arrived, self._arrivals = self._arrivals, []
        return arrived

    def send(self, frontend: FrontendId, events: Sequence[Event]) -> None:
        if (stream := self._streams.get(frontend)) is not None:
            self._attempt(frontend, lambda: stream.send(events))

    def close(self) -> None:
        self._selector.close()
        for stream in self._streams.values():
            stream.finish()
        self._streams.clear()
        self._listener.close()
        Path(self._path).unlink(missing_ok=True)

    def _accept(self) -> None:
        if (accepted := self._accepting.accept()) is None:
            return
        name = next(self._names)
        self._streams[name] = _Frontend(accepted)
        self._selector.register(accepted, selectors.EVENT_READ, name)
        self._arrivals.append((name, Joined()))

    def _serve(self, name: FrontendId, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            self._attempt(name, lambda: self._take(name))
        if ready & selectors.EVENT_WRITE and name in self._streams:
            self._attempt(name, self._streams[name].flush)

    def _take(self, name: FrontendId) -> None:
        self._arrivals += [(name, command) for command in self._streams[name].receive()]

    def _attempt(self, name: FrontendId, action: Callable[[], None]) -> None:
        stream = self._streams[name]
        try:
            action()
        except PeerGone:
            self._drop(name)
            return
        if (wanted := stream.wanted) != stream.awaited:
            self._selector.modify(stream.socket, wanted, name)
            stream.awaited = wanted

    def _drop(self, name: FrontendId) -> None:
        stream = self._streams.pop(name)
        self._selector.unregister(stream.socket)
        stream.close()
        self._arrivals.append((name, Gone()))


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """The carrier: a socket at a path."""

    path: str

    @property
    def folder(self) -> Path:
        return Path(self.path).parent

    def listen(self) -> UnixBackendPort:
        return UnixBackendPort(self.path)

    def connect(self, wait: Wait | None = None) -> UnixFrontendPort:
        return UnixFrontendPort(self.path, wait)

    def remove(self) -> None:
        Path(self.path).unlink(missing_ok=True)
