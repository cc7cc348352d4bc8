"""Reads the events of a response in the background: waiting, being computed, or ended.

Its stream is shared with the process that computes it. If that process ends, the reader's own
computes the rest, or waits for another one to do so, and continues after the client's last event.
"""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import replace as with_field

from msgspec.structs import replace

from rowcast.errors import BuildChanged, JournalFailing, RowcastError, UnknownRequest
from rowcast.frontend.api.events import EVENT_STREAM, NO_BUFFERING, SILENT
from rowcast.frontend.api.openai.responses.request.prepared import prepare
from rowcast.frontend.api.openai.responses.response.errors import error_of
from rowcast.frontend.api.openai.responses.response.events import ResponseFailed
from rowcast.frontend.api.openai.responses.response.numbers import Numbers
from rowcast.frontend.api.openai.responses.response.types import ResponseFailure
from rowcast.frontend.api.openai.responses.response.view import (
    View,
    accepted_events,
    events_of,
    number,
)
from rowcast.frontend.api.openai.responses.stored.background import (
    CANCELLED,
    KIND,
    body_of,
    object_of,
)
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.waiting import StillLoading
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import CONTENT_TYPE, Response
from rowcast.journal.background.record import ENDS, BackgroundRequest, Phase

_BEGUN: frozenset[Phase] = frozenset({"running"})
STORED_SECONDS = 3.0  # at most, until the process that computes it has stored its result
AGAIN_SECONDS = 0.5  # until a stream that broke off is read again


def follow(frontend: Frontend, request: Request, found: BackgroundRequest, start: str) -> Response:
    """Answer with the events after the one whose number is `start`; with all of them for ""."""
    chunks = _Follower(frontend, request, found, number(start)).chunks()
    headers = {**NO_BUFFERING, CONTENT_TYPE: EVENT_STREAM}
    return Response(body=chunks, headers=headers, close=chunks.close)


class _Follower:
    """One reader of one response."""

    def __init__(
        self, frontend: Frontend, request: Request, found: BackgroundRequest, after: int
    ) -> None:
        self._frontend = frontend
        self._request = request
        self._found = found
        self._silence = frontend.settings.comment_seconds
        self._numbers = Numbers(after)

    def chunks(self) -> Generator[bytes]:
        """Yield the events that the reader lacks, to the end of the response."""
        try:
            yield from self._events()
        except RowcastError as error:
            yield self._numbers.outside(error_of(error.status, str(error), error))

    def _events(self) -> Iterator[bytes]:
        yield self._numbers.encode(accepted_events(object_of(self._found))) or SILENT
        while True:
            yield from self._queued()
            if self._found.phase in {"failed", "cancelled"}:
                yield self._end()
                return
            try:
                yield from self._computed()
            except RowcastError:  # its process has ended, or it is cancelled: that is seen now
                if self._found.phase == "finished":
                    raise
                yield SILENT
                self._wait(AGAIN_SECONDS, ended=True)
            else:
                return

    def _queued(self) -> Iterator[bytes]:
        """Yield comments until the response is computed."""
        while self._found.phase == "queued":
            self._wait(self._silence)
            yield SILENT

    def _wait(self, seconds: float, *, ended: bool = False) -> None:
        """Wait for the response to begin, or only for its end."""
        wait, phases = self._frontend.background.wait, ENDS if ended else _BEGUN
        self._found = wait(self._request, KIND, self._found.id, seconds, phases)

    def _computed(self) -> Iterator[bytes]:
        """Yield the events of the stream."""
        request = self._request.in_background(self._found)
        read = with_field(body_of(self._found), accepted=self._found)
        while True:
            try:
                view = View(prepare(self._frontend, request, read, events=True))
            except StillLoading as loading:
                with request.watching(loading.wait.client_left):
                    while not loading.wait.granted_within(self._silence):
                        yield SILENT
            except BuildChanged as changed:
                if changed.build in {"", request.build}:
                    raise
                request = with_field(request, build=changed.build)
            else:
                break
        try:
            self._numbers = Numbers(self._numbers.last, joins=view.reply.joins)
            yield from events_of(view, self._numbers, self._silence, self._settle)
        finally:
            view.replies.close()

    def _settle(self) -> None:
        """Wait until the result is stored, so that whoever has the last event finds it."""
        with contextlib.suppress(UnknownRequest, JournalFailing):  # deleted; stored later
            self._wait(STORED_SECONDS, ended=True)

    def _end(self) -> bytes:
        """Return the last event of a response without a result."""
        response = object_of(self._found)
        error = response.error or ResponseFailure(CANCELLED)
        return self._numbers.outside(ResponseFailed(response=replace(response, error=error)))
