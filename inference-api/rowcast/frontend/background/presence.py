"""The client of a request that nobody reads: it stays until somebody cancels the request."""

import threading
from collections.abc import Callable


class Presence:
    """A client that leaves on command; its `watch` is that of a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._watching: dict[object, Callable[[], None]] = {}

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Call `gone` when the client leaves, or now if it has left; return what ends the watch."""
        mark = object()
        with self._lock:
            left = self._left
            if not left:
                self._watching[mark] = gone
        if left:
            gone()
        return lambda: self._forget(mark)

    def leave(self) -> None:
        """End everything that is computed for this client."""
        with self._lock:
            self._left = True
            watching, self._watching = list(self._watching.values()), {}
        for gone in watching:
            gone()

    def _forget(self, mark: object) -> None:
        with self._lock:
            self._watching.pop(mark, None)
