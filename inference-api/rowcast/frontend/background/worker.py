"""Takes background requests from the journal and computes each in a thread of its own.

    look      every second while there are any: take some, and stop those that are no longer ours
    end       store the result, or queue the request again; then look at once

The journal decides which process computes what. A process that has ended, or gives no sign of life,
loses its requests to the next one that looks (`journal/background/`).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from rowcast.errors import JournalFailing
from rowcast.frontend.background.attempt import Again, Answers, Attempt, Result
from rowcast.frontend.background.watchers import Watchers
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.journal.background.record import BackgroundNews, BackgroundRequest
from rowcast.journal.background.table import BackgroundTable
from rowcast_telemetry.spans import Tracer

_log = logging.getLogger("rowcast.background")

WATCHED_SECONDS = 0.1  # between looks while a thread waits for a request
BUSY_SECONDS = 1.0  # while there are requests
IDLE_SECONDS = 3.0  # otherwise; a request that was accepted here is taken at once
REPORTED_SECONDS = 1.5  # after which a backend has sent another status
MADE_ROOM = "it made room for prompts that wait"


class Worker:
    """The requests that this process computes, and the thread that takes them."""

    def __init__(
        self,
        client: JournalClient,
        watchers: Watchers,
        room: Callable[[int], int],
        tracer: Tracer | None = None,
    ) -> None:
        """`room(running)`: how many more rows may be taken; if negative, given back."""
        self._client = client
        self._watchers = watchers
        self._room = room
        self._tracer = tracer
        self._running: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = self._closing = False
        self._busy = True  # the first look finds out
        self._made_room = -REPORTED_SECONDS
        self._thread: threading.Thread | None = None

    def start(self, answers: Answers, parsing: "threading.Lock") -> None:
        """Begin to take requests. `parsing`: the lock held while a large body is parsed."""
        self._thread = threading.Thread(
            target=self._run, args=(answers, parsing), name="background", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, and leave those that are running to other processes."""
        self._stopping = True
        for attempt in self._attempts():
            attempt.leave("the server is stopping")

    def close(self) -> None:
        self.stop()
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def wake(self) -> None:
        """Look now: a request may be there to take, or a thread waits for one."""
        self._wake.set()

    def leave(self, request: str) -> None:
        """Stop computing a request that was cancelled."""
        with self._lock:
            attempt = self._running.get(request)
        if attempt is not None:
            attempt.leave("it was cancelled")
        self._watchers.wake(request)

    def _attempts(self) -> list[Attempt]:
        with self._lock:
            return list(self._running.values())

    def _run(self, answers: Answers, parsing: "threading.Lock") -> None:
        while not self._closing:
            for taken in self._looked():
                arguments = (taken, answers, parsing)
                threading.Thread(target=self._compute, args=arguments, daemon=True).start()
            self._wake.wait(self._pause)
            self._wake.clear()

    @property
    def _pause(self) -> float:
        if self._watchers.watched:
            return WATCHED_SECONDS
        return BUSY_SECONDS if self._busy else IDLE_SECONDS

    def _looked(self) -> list[Attempt]:
        try:
            return self._look()
        except Exception:  # noqa: BLE001  # whatever it is, the next look may succeed
            _log.exception("looking for background requests failed")
            return []

    def _look(self) -> list[Attempt]:
        """Return the requests that this process computes from now on."""
        before = self._attempts()
        watched = self._watchers.watched
        free = 0 if self._stopping else self._room(sum(each.accepted.rows for each in before))
        if free < 0:
            self._make_room(_latest(before, -free))
        try:
            news = self._client.do(BackgroundTable.look, max(0, free), watched)
        except JournalFailing:
            return []
        self._busy = bool(news.waiting)
        self._watchers.note(watched, news.phases)
        for attempt in before:
            if attempt.accepted.id not in news.mine:
                attempt.leave("it was cancelled, or is computed by another process")
        return self._begin(news)

    def _make_room(self, attempts: Sequence[Attempt]) -> None:
        """Give rows back, but only once the status can show those that were given back before."""
        if time.monotonic() - self._made_room > REPORTED_SECONDS:
            self._made_room = time.monotonic()
            for attempt in attempts:
                attempt.leave(MADE_ROOM)

    def _begin(self, news: BackgroundNews) -> list[Attempt]:
        attempts = [Attempt(accepted, self._tracer) for accepted in news.taken]
        with self._lock:
            self._running.update((each.accepted.id, each) for each in attempts)
        if self._stopping:
            for each in attempts:
                each.leave("the server is stopping")
        return attempts

    def _compute(self, attempt: Attempt, answers: Answers, parsing: "threading.Lock") -> None:
        """Compute one request; whatever happens, it is queued again or has its result."""
        accepted = attempt.accepted
        outcome: Result | Again = Again("its computation has ended early", 1)
        try:
            outcome = attempt.run(answers, parsing)
        finally:
            self._store(accepted, outcome)
            with self._lock:
                self._running.pop(accepted.id, None)
            self._watchers.wake(accepted.id)
            self._wake.set()

    def _store(self, accepted: BackgroundRequest, outcome: Result | Again) -> None:
        """Write how an attempt has ended; if the journal fails, as soon as it recovers."""
        if isinstance(outcome, Again):
            _log.info("request=%s was interrupted: %s", accepted.request_id, outcome.reason)
            if outcome.restart:
                self._client.soon(BackgroundTable.restart, accepted.id, accepted.team)
            else:
                delay = 0.0 if self._stopping else outcome.delay
                self._client.soon(BackgroundTable.release, accepted.id, outcome.reason, delay)
            return
        ending = (accepted.id, outcome.status, outcome.body)
        try:
            self._client.do(BackgroundTable.finish, *ending)
        except JournalFailing:
            self._client.soon(BackgroundTable.finish, *ending)


def _latest(attempts: Sequence[Attempt], rows: int) -> list[Attempt]:
    """Return the latest attempts that take at least this many rows together."""
    latest: list[Attempt] = []
    for attempt in reversed(attempts):
        if rows <= 0:
            break
        latest.append(attempt)
        rows -= attempt.accepted.rows
    return latest
