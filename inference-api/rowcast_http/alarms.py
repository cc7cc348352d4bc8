"""Calls back when something has taken too long, at a price that is paid only then.

    alarm = Alarm(ring)             `ring` must not block
    alarms.set(alarm, due)          ring once this time on the monotonic clock has come
    alarm.due = later, or NEVER     put it off: one assignment, however often

A stream waits for each of its tokens, and nearly no wait takes too long. A timer for each of them
would cost more than the wait: it is made, sorted in, taken out and dropped. So one thread sleeps
until the earliest time that an alarm was set to. If it was put off since, it is sorted in again.
"""

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable

NEVER = math.inf


class Alarm:
    """One time, which may be put off."""

    __slots__ = ("due", "listed", "ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        """`ring` is called once for each time that comes."""
        self.ring = ring
        self.due = NEVER  # on the monotonic clock
        self.listed = NEVER  # when the thread looks at it next


class Alarms:
    """The alarms of one part of a process. The thread is started by the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held during a wait
        self._listed: list[tuple[float, int, Alarm]] = []  # a heap
        self._numbers = itertools.count()
        self._earlier = threading.Event()  # than what the thread waits for
        self._closing = False
        self._thread: threading.Thread | None = None

    def set(self, alarm: Alarm, due: float) -> None:
        """Set an alarm; if it was set before, the new time counts."""
        alarm.due = due
        if due < alarm.listed:
            self._list(alarm)

    def close(self) -> None:
        """End the thread; no alarm rings any more."""
        self._closing = True
        self._earlier.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def __len__(self) -> int:
        """Return how many times the thread has to look."""
        return len(self._listed)

    def _list(self, alarm: Alarm) -> None:
        with self._lock:
            alarm.listed = alarm.due
            entry = (alarm.due, next(self._numbers), alarm)
            heapq.heappush(self._listed, entry)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
                self._thread.start()
            elif self._listed[0] is entry:
                self._earlier.set()

    def _run(self) -> None:
        while not self._closing:
            self._earlier.clear()
            while (alarm := self._next_due()) is not None:
                alarm.ring()
            self._earlier.wait(self._seconds_left())

    def _seconds_left(self) -> float | None:
        """Return how long the thread may sleep; None: until an alarm is set."""
        with self._lock:
            return max(0.0, self._listed[0][0] - time.monotonic()) if self._listed else None

    def _next_due(self) -> Alarm | None:
        """Return an alarm whose time has come; sort in again what was put off."""
        now = time.monotonic()
        with self._lock:
            while self._listed and self._listed[0][0] <= now:
                listed, _, alarm = heapq.heappop(self._listed)
                if alarm.listed != listed:
                    continue  # it was set to an earlier time since, and is listed there
                due, alarm.listed = alarm.due, NEVER
                if due <= now:
                    return alarm
                if due != NEVER:
                    alarm.listed = due
                    heapq.heappush(self._listed, (due, next(self._numbers), alarm))
        return None
