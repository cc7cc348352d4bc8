"""What the reader of a session waits on: an event whose time limits cost nothing unless they pass.

One thread waits at a time, any thread sets it. After a wait that took too long it may be set all
the same, so a reader clears it, looks at what has arrived, and only then waits.
"""

import threading
import time

from rowcast_http.alarms import NEVER, Alarm, Alarms


class Arrival:
    """A `threading.Event` for waits that end soon, nearly always."""

    __slots__ = ("_alarm", "_alarms", "_event", "_late", "clear", "set")

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._alarm = Alarm(self._ring)
        self._event = threading.Event()
        self._late = False
        self.set = self._event.set
        self.clear = self._event.clear

    def wait(self, timeout: float | None = None) -> bool:
        """Return True once it is set, False after `timeout` seconds."""
        if timeout is None or self._event.is_set():
            return self._event.wait()
        if timeout <= 0:
            return False
        self._late = False
        due = time.monotonic() + timeout
        self._alarms.set(self._alarm, due)
        self._event.wait()
        self._alarm.due = NEVER
        return not (self._late and time.monotonic() >= due)  # or it was late for the wait before

    def _ring(self) -> None:
        self._late = True
        self._event.set()
