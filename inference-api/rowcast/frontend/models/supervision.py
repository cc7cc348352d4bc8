"""The connection to the supervisor of models, and its stand-in where there is none.

    SupervisorLink      ROWCAST_MODELS_SOCKET: connects, sends Hello, passes on what arrives
    FixedSupervision    BACKEND_SOCKET by hand: one build, ready, which nobody starts or stops

One thread connects and receives, another sends, so `send` never waits. A connection that ends is
made again after a pause; its Hello names all builds that are held.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from rowcast.errors import PeerGone
from rowcast.models.messages import (
    Done,
    FromFrontend,
    FromSupervisor,
    Hello,
    Load,
    Unload,
)
from rowcast.transport.descriptors import Shortage

_log = logging.getLogger("rowcast.models")

RETRY_FIRST, RETRY_MOST = 0.05, 0.5
_BY_HAND = "the server's backend was started by hand (BACKEND_SOCKET): it cannot be changed"


class Connection(Protocol):
    """One connection to a supervisor."""

    def send(self, message: FromFrontend, /) -> None:
        """Send a message, completely and in order. Raises PeerGone."""

    def receive(self) -> Sequence[FromSupervisor]:
        """Wait some seconds for the next messages. Raises PeerGone."""

    def close(self) -> None: ...


class Listener(Protocol):
    """What receives the supervisor's messages: `Models`."""

    def connected(self, begin: Callable[[Hello], None], /) -> None:
        """Call `begin` with the first message of a new connection, before any other is sent."""

    def receive(self, message: FromSupervisor, /) -> None: ...

    def lost(self) -> None:
        """Note that the connection has ended: no build is certainly held."""


class Supervision(Protocol):
    """The connection to what starts and stops builds."""

    def start(self, listener: Listener, /) -> None: ...

    def send(self, message: FromFrontend, /) -> None:
        """Send a message without waiting; drop it if there is no connection."""

    def close(self) -> None: ...


class FixedSupervision:
    """A supervision that starts and stops nothing."""

    def start(self, listener: Listener) -> None:
        self._listener = listener

    def send(self, message: FromFrontend) -> None:
        """Refuse Load and Unload; no other message needs an answer."""
        if isinstance(message, Load | Unload):
            self._listener.receive(Done(message.number, _BY_HAND))

    def close(self) -> None:
        """Do nothing."""


class SupervisorLink:
    """The connection of one frontend process, made again whenever it ends."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` raises PeerGone if there is no supervisor."""
        self._connect = connect
        self._connection: Connection | None = None
        self._unsent: queue.SimpleQueue[FromFrontend | None] | None = None
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, listener: Listener) -> None:
        self._listener = listener
        thread = threading.Thread(target=self._run, name="supervisor-link", daemon=True)
        self._threads.append(thread)
        thread.start()

    def send(self, message: FromFrontend) -> None:
        if (unsent := self._unsent) is not None:
            unsent.put(message)

    def close(self) -> None:
        self._closing.set()
        if self._connection is not None:
            self._connection.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _begin(self, unsent: "queue.SimpleQueue[FromFrontend | None]", hello: Hello) -> None:
        unsent.put(hello)
        self._unsent = unsent

    def _run(self) -> None:
        pause, shortage = RETRY_FIRST, Shortage("supervisor")
        while not self._closing.is_set():
            try:
                connection = self._connect()
            except PeerGone as gone:
                shortage.note(gone.__cause__)
                self._closing.wait(pause)
                pause = min(RETRY_MOST, pause * 1.5)
            else:
                pause = RETRY_FIRST
                shortage.end()
                self._serve(connection)

    def _serve(self, connection: Connection) -> None:
        unsent: queue.SimpleQueue[FromFrontend | None] = queue.SimpleQueue()
        sender = threading.Thread(
            target=_send_all, args=(connection, unsent), name="supervisor-sender", daemon=True
        )
        try:
            self._connection = connection
            self._listener.connected(partial(self._begin, unsent))
            sender.start()
            while not self._closing.is_set():
                for message in connection.receive():
                    self._listener.receive(message)
        except PeerGone as gone:
            if not self._closing.is_set():
                _log.warning("supervisor lost: %s", gone)
        except Exception:  # noqa: BLE001  # one bad message must not end this thread
            _log.exception("a message of the supervisor could not be processed; reconnecting")
            self._closing.wait(RETRY_MOST)
        finally:
            self._unsent = None
            self._listener.lost()
            unsent.put(None)
            connection.close()
            if sender.ident is not None:
                sender.join(timeout=10)


def _send_all(connection: Connection, unsent: "queue.SimpleQueue[FromFrontend | None]") -> None:
    """Send until the connection ends."""
    try:
        while (message := unsent.get()) is not None:
            connection.send(message)
    except PeerGone:
        connection.close()  # the receiving thread reports it
