"""A request that waits until its model may be used.

A wait ends in one of three ways. It is granted: then the request counts as a use of the build. It
is refused, with an error. Or the request gives up: its time has passed, or its client has left.
Only `Builds` grants and refuses.
"""

import threading
import time
from dataclasses import dataclass

from rowcast.errors import DeadlinePassed, NotReady, ReplyCancelled, RowcastError
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.request import Request
from rowcast_http.client_watch import WENT_AWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOptions:
    """What a request's body requests of its claim."""

    events: bool = False  # the answer is an event stream, which may begin with comments
    timeout: float | None = None  # in seconds
    keep_alive: float | None = None  # seconds to keep the model loaded afterwards; negative: always


class Wait:
    """One request in the line of a build."""

    def __init__(
        self, slot: Slot, deadline: Deadline, load_seconds: float, *, recorded: bool = False
    ) -> None:
        """`recorded`: the request resumes a stream that this build began."""
        self.slot = slot  # `Models` moves it to the successor of a build that was replaced
        self.recorded = recorded
        self.granted = False
        self.refused: RowcastError | None = None
        self._deadline = deadline
        self._load_seconds = load_seconds
        self._began = time.monotonic()
        self._left = False
        self._news = threading.Event()

    def wake(self) -> None:
        """Wake the request: it was granted or refused."""
        self._news.set()

    def client_left(self) -> None:
        self._left = True
        self._news.set()

    def granted_within(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether the model may be used. Raises RowcastError."""
        limit = time.monotonic() + seconds
        while not self.granted:
            self._check()
            left = min(limit, self._until) - time.monotonic()
            if left <= 0 and time.monotonic() < self._until:
                return False
            self._news.wait(max(0.0, left))
            self._news.clear()
        return True

    @property
    def _until(self) -> float:
        loaded = self._began + self._load_seconds
        seconds = self._deadline.seconds
        return loaded if seconds is None else min(loaded, self._deadline.began + seconds)

    def _check(self) -> None:
        if self.refused is not None:
            raise self.refused
        if self._left:
            raise ReplyCancelled(WENT_AWAY)
        if time.monotonic() < self._until:
            return
        if self._until < self._began + self._load_seconds:
            raise DeadlinePassed(self._deadline.message)
        raise NotReady(
            f"the model {self.slot.name!r} was not loaded within {self._load_seconds:g} s"
            f"{self.slot.doing}; try again later"
        )


class StillLoading(Exception):  # not an error
    """An event stream's model is still loading: send its headers and comments meanwhile."""

    def __init__(self, wait: Wait, request: Request) -> None:
        super().__init__(f"the model {wait.slot.name!r} is still loading")
        self.wait = wait
        self.request = request
