"""A connection to one build's backend on which the rows are watched, while anybody reads them.

    renew     somebody reads: connect, if there is no connection
    report    the backend's last report; None while there is none

The connection is separate from that of the replies: these get no more events than before, and a
process also sees the rows of builds for which it has no session. It ends some seconds after the
last reader, or when it is closed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rowcast.errors import PeerGone, RowcastError
from rowcast.frontend.sessions.choice import brief_lock
from rowcast.transport.ports import FrontendPort
from rowcast.wire import Event, RowStates, Status, WatchRows

_log = logging.getLogger("rowcast.rows")

IDLE_SECONDS = 5.0  # without a reader, until the connection ends
RETRY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Report:
    """What a backend has reported."""

    status: Status
    states: RowStates


class BuildWatch:
    """The rows of one build."""

    def __init__(self, connect: Callable[[], FrontendPort]) -> None:
        self.report: Report | None = None
        self._connect = connect
        self._status: Status | None = None
        self._port: FrontendPort | None = None
        self._reported = threading.Event()
        self._until = 0.0  # when the connection ends, unless somebody reads again
        self._running = False
        self._lock = brief_lock()

    def renew(self) -> None:
        """Watch for some more seconds."""
        with self._lock:
            self._until = time.monotonic() + IDLE_SECONDS
            starts, self._running = not self._running, True
        if starts:
            self._reported.clear()
            threading.Thread(target=self._run, name="row watch", daemon=True).start()

    def wait(self, seconds: float) -> Report | None:
        """Return the report; if there is none yet, wait for it."""
        self._reported.wait(seconds)
        return self.report

    def close(self) -> None:
        """End the connection, and its thread soon after."""
        self._until = 0.0
        if (port := self._port) is not None:
            port.close()

    def _run(self) -> None:
        while not self._ends():
            try:
                self._serve(self._connect())
            except PeerGone:
                time.sleep(RETRY_SECONDS)  # its successor may listen soon
            except (RowcastError, OSError):
                _log.exception("the rows cannot be watched")
                time.sleep(RETRY_SECONDS)

    def _ends(self) -> bool:
        """Return whether nobody reads any more; then the next `renew` starts another thread."""
        with self._lock:
            self._running = time.monotonic() < self._until
            return not self._running

    def _serve(self, port: FrontendPort) -> None:
        self._port = port
        try:
            port.send([WatchRows()])
            while time.monotonic() < self._until:
                self._take(port.receive())
        finally:
            self._port = self._status = self.report = None
            port.close()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Status):
                self._status = event
            elif isinstance(event, RowStates) and self._status is not None:
                self.report = Report(self._status, event)
                self._reported.set()
