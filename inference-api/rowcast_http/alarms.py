"""Calls back when something has taken too long, at a price that is paid only then.

    alarm = Alarm(ring)             `ring` must not block
    alarms.set(alarm, due)          ring once this time on the monotonic clock has come
    alarm.due = later, or NEVER     put it off: one assignment, however often

A stream waits for each of its tokens, and nearly no wait takes too long. A timer for each of them
would cost more than the wait: it is made, sorted in, taken out and dropped. So one thread sleeps
until the earliest time that an alarm was set to. If it was put off since, it is sorted in again.
No alarm is listed further ahead than LOOK_SECONDS, so those of ended streams are soon forgotten.

An alarm may ring although it was put off a moment before: whoever waits looks at the clock.
"""

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable

NEVER = math.inf
LOOK_SECONDS = 10.0

_log = logging.getLogger("rowcast.alarms")


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
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(timeout=10)

    def __len__(self) -> int:
        """Return how many times the thread has to look."""
        return len(self._listed)

    def _list(self, alarm: Alarm) -> None:
        with self._lock:
            self._push(alarm, alarm.due, time.monotonic())
            is_earliest = self._listed[0][2] is alarm
            thread = None if self._thread or self._closing else self._new_thread()
        if thread is not None:
            self._start(thread)
        elif is_earliest:
            self._earlier.set()

    def _new_thread(self) -> threading.Thread:
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        return self._thread

    def _start(self, thread: threading.Thread) -> None:
        """Start the thread; if there is no room for one now, the next alarm tries again."""
        try:
            thread.start()
        except RuntimeError:
            self._thread = None
            raise

    def _push(self, alarm: Alarm, due: float, now: float) -> None:
        alarm.listed = min(due, now + LOOK_SECONDS)
        heapq.heappush(self._listed, (alarm.listed, next(self._numbers), alarm))

    def _run(self) -> None:
        while not self._closing:
            self._earlier.clear()
            while (alarm := self._next_due()) is not None:
                _ring(alarm)
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
                alarm.listed = NEVER  # first: whoever sets it from here on lists it
                due = alarm.due
                if due <= now:
                    return alarm
                if due != NEVER:
                    self._push(alarm, due, now)
        return None


def _ring(alarm: Alarm) -> None:
    try:
        alarm.ring()
    except Exception:  # noqa: BLE001  # one must not end all others
        _log.exception("an alarm failed")
