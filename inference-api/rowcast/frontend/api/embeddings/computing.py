"""Prompts become vectors: a few groups of them at a time, in order.

    prompts  ▪▪▪▪ ▪▪▪▪ ▪▪▪▪ ▪▪▪▪ ▪▪▪▪ …     read when done   at the backend   not yet submitted

More prompts than rows are at the backend, so no row waits for this process; and not many more, so a
request of thousands leaves the waiting line to others. Only the first group may be refused because
the line is full: the later ones wait for room.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from rowcast.errors import DeadlinePassed, Overloaded, ReplyCancelled, ReplyFailed
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast_http.client_watch import WENT_AWAY

TOGETHER = 16  # prompts of a group
AHEAD = 4  # groups at the backend
PAUSE_SECONDS = 0.2


def vectors_of(
    served: ServedModel, request: Request, prompts: Sequence[Prompt], seconds: float
) -> list[bytes]:
    """Return the vector of each prompt, as the backend sends it: fp32, little-endian.

    `seconds`: how long later groups may wait for room. Raises what a reply raises.
    """
    watches = Watches()
    with request.watching(watches.report), closing(_Run(served, request, watches, seconds)) as run:
        return [vector for group in run.groups(prompts) for vector in group]


class Watches:
    """Several watches of one client, of which the server allows only one at a time."""

    def __init__(self) -> None:
        self.gone = False
        self._callbacks: dict[object, Callable[[], None]] = {}

    def report(self) -> None:
        """Note that the client has left."""
        self.gone = True
        for callback in list(self._callbacks.values()):
            callback()

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Call `gone` when the client leaves; return a function that ends the watch."""
        key = object()
        self._callbacks[key] = gone
        if self.gone:
            gone()

        def unwatch() -> None:
            self._callbacks.pop(key, None)

        return unwatch


class _Run:
    """One request's groups at the backend."""

    def __init__(
        self, served: ServedModel, request: Request, watches: Watches, seconds: float
    ) -> None:
        caller = replace(request.caller, keeps=False)  # a vector can be computed again
        self._request = replace(request, caller=caller, watch=watches.watch)
        self._served = served
        self._watches = watches
        self._deadline = Deadline.read(request.headers, None, request.began)
        self._patience = time.monotonic() + seconds
        self._open: deque[Replies] = deque()

    def groups(self, prompts: Sequence[Prompt]) -> Iterator[list[bytes]]:
        """Yield the vectors, group by group."""
        for at in range(0, len(prompts), TOGETHER):
            if len(self._open) == AHEAD:
                yield self._read()
            group = prompts[at : at + TOGETHER]
            while (opened := self._opened(group, waits=at > 0)) is None:
                if self._open:
                    yield self._read()
                else:
                    time.sleep(PAUSE_SECONDS)
            self._open.append(opened)
        while self._open:
            yield self._read()

    def close(self) -> None:
        """Give up what has not been read."""
        for replies in self._open:
            replies.close()

    def _opened(self, group: Sequence[Prompt], *, waits: bool) -> Replies | None:
        """Submit a group; return None if there is no room for it yet and it may wait."""
        if self._watches.gone:
            raise ReplyCancelled(WENT_AWAY)
        self._check_time()
        try:
            return self._served.open_all(self._request, self._request.origin(), group)
        except Overloaded:
            if not waits or time.monotonic() > self._patience:
                raise
            return None

    def _check_time(self) -> None:
        limit, began = self._deadline.seconds, self._deadline.began
        if limit is not None and time.monotonic() > began + limit:
            raise DeadlinePassed(self._deadline.message)

    def _read(self) -> list[bytes]:
        """Wait for the oldest group, and return its vectors."""
        with closing(self._open.popleft()) as replies:
            replies.texts()
            vectors = [reply.vector for reply in replies]
        if not all(vectors):
            raise ReplyFailed("the backend ended a prompt without its vector")
        return vectors
