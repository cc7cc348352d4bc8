"""The threads that wait for background requests, woken when the phase of one changes.

A change by this process is reported at once. Changes by other processes are read from the journal,
together for all threads, ten times a second.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rowcast.journal.background.record import Phase


class Watchers:
    """The background requests that threads of this process wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, list[threading.Event]] = defaultdict(list)
        self._known: dict[str, Phase | None] = {}

    @property
    def watched(self) -> tuple[str, ...]:
        """The ids of the requests for which a thread waits."""
        with self._lock:
            return tuple(self._waiting)

    @contextmanager
    def watching(self, request: str) -> Iterator[threading.Event]:
        """Yield an event that is set whenever a request may have changed its phase."""
        changed = threading.Event()
        with self._lock:
            self._waiting[request].append(changed)
        try:
            yield changed
        finally:
            with self._lock:
                self._waiting[request].remove(changed)
                if not self._waiting[request]:
                    del self._waiting[request]
                    self._known.pop(request, None)

    def wake(self, request: str) -> None:
        """Wake the threads that wait for a request."""
        with self._lock:
            events = list(self._waiting.get(request, ()))
        for changed in events:
            changed.set()

    def note(self, watched: tuple[str, ...], phases: Mapping[str, Phase]) -> None:
        """Wake the threads that wait for a request whose phase has changed."""
        for request in watched:
            phase = phases.get(request)
            with self._lock:
                is_news = request in self._waiting and self._known.get(request) != phase
                if is_news:
                    self._known[request] = phase
            if is_news:
                self.wake(request)
