"""Long work cut into parts, between which other requests run.

    request A   part ----- rest ............ part ----- rest
    request B         rest .... part ----- rest ............ part

One part runs per iteration of the event loop, however many requests have long work to do. Threads
of which a process has one do not wait for the requests: their parts run beside the requests' ones.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rowcast_http.rest import rest

_Item = TypeVar("_Item")

PART_SECONDS = 0.005


class Turnstile:
    """Lets one request at a time pass, in order of arrival."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # never held during a wait
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def rest(self) -> None:
        """Let all other requests run; return when it is this one's turn."""
        self._enter()
        try:
            rest()
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            turn.wait()
        except BaseException:  # the request was ended while it waited
            self._give_up(turn)
            raise

    def _leave(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    def _give_up(self, turn: threading.Event) -> None:
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        self._leave()  # its turn had already come


_turnstile = Turnstile()


def in_turns(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items; after every few milliseconds of work on them, let other requests run."""
    return in_parts(items, _turnstile.rest)


def in_parts(items: Iterable[_Item], pause: Callable[[], None] = rest) -> Iterator[_Item]:
    """Yield items; pause after every few milliseconds of work on them."""
    began = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - began > PART_SECONDS:
            pause()
            began = time.monotonic()
