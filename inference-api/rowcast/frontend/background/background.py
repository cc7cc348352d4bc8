"""The background requests of one frontend process, as its dialects see them.

Every method takes the caller, or the request that it answers. A team sees only its own requests;
the id of another team's is as unknown as one that never existed.
"""

import hashlib
import threading
import time
from collections.abc import Collection, Sequence

from rowcast.errors import KeyReused, MalformedRequest, Overloaded, ReplyCancelled, UnknownRequest
from rowcast.frontend.background.attempt import Answers
from rowcast.frontend.background.room import room, share_of
from rowcast.frontend.background.watchers import Watchers
from rowcast.frontend.background.worker import Worker
from rowcast.frontend.models.models import Models
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import fresh_id, key_of
from rowcast.frontend.request.request import Request
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.journal.background.record import ENDS, BackgroundRequest, Phase
from rowcast.journal.background.table import BackgroundTable
from rowcast.journal.batches.record import Batch
from rowcast.journal.batches.table import BatchTable
from rowcast.settings import Settings
from rowcast_http.client_watch import WENT_AWAY
from rowcast_telemetry.spans import Tracer

FULL_SECONDS = 10  # after which a team that has too many may try again


class Background:
    """Accepts background requests, and shows them to their owners."""

    answers: Answers | None = None  # computes them; set once it exists

    def __init__(
        self,
        client: JournalClient | None,
        settings: Settings,
        models: Models,
        tracer: Tracer | None = None,
    ) -> None:
        """`client`: None if there is no journal; then no request is accepted."""
        self._client = client
        self._most = settings.background_requests
        self._watchers = Watchers()
        self._share = share_of(settings.background_rows, settings.workers)
        self._models = models
        self._worker = Worker(client, self._watchers, self._room, tracer) if client else None

    def start(self, parsing: "threading.Lock") -> None:
        """Begin to compute. `parsing`: the lock held while a large body is parsed."""
        if self._worker is not None and self.answers is not None:
            self._worker.start(self.answers, parsing)

    def stop(self) -> None:
        """Leave all requests to other processes."""
        if self._worker is not None:
            self._worker.stop()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def accept(
        self,
        request: Request,
        *,
        kind: str,
        path: str,
        body: bytes,
        named: str = "",
        streamed: bool = False,
        rows: int = 1,
    ) -> BackgroundRequest:
        """Queue a request; it is durable when this returns. Raises RequestError and Unavailable.

        With an idempotency key, a request that was accepted before is returned as it is now.
        `kind`: the dialect, which alone finds it again. `named`: its id. `streamed`: readers may
        join its stream, so that is stored as long as its result. `rows`: how many it takes at once.
        """
        caller, key = request.caller, key_of(request.headers)
        accepted = BackgroundRequest(
            id=named or id_of(caller.owner, kind, key),
            team=caller.owner,
            token_id=caller.token_id,
            request_id=request.id,
            kind=kind,
            path=path,
            body=body,
            streamed=streamed,
            rows=rows,
            created=time.time(),
        )
        self.accept_all([accepted])
        return accepted if key is None else self._same(caller, accepted)

    def accept_all(self, accepted: Sequence[BackgroundRequest]) -> None:
        """Queue requests of one team, all or none."""
        refusal = self.client.do(BackgroundTable.accept, accepted, self._most)
        if refusal:
            raise Overloaded(refusal, FULL_SECONDS)
        self.wake()

    def begin_batch(self, batch: Batch, lines: Sequence[BackgroundRequest]) -> None:
        """Queue a batch with all its lines, or nothing. Raises Overloaded."""
        refusal = self.client.do(BatchTable.begin, batch, lines, self._most)
        if refusal:
            raise Overloaded(refusal, FULL_SECONDS)
        self.wake()

    def wake(self) -> None:
        """Look for requests now."""
        if self._worker is not None:
            self._worker.wake()

    def find(self, caller: Caller, kind: str, named: str) -> BackgroundRequest:
        """Return one request of the caller's team. Raises UnknownRequest."""
        found = self.client.do(BackgroundTable.find, named, caller.owner)
        if found is None or found.kind != kind:
            raise UnknownRequest(f"there is no {kind} {named[:80]!r} here, or it has expired")
        return found

    def page(self, caller: Caller, kind: str, before: str, count: int) -> list[BackgroundRequest]:
        """Return requests of the caller's team, the latest first, without bodies and results.

        `before`: the id of the last one of the page before.
        """
        return self.client.do(BackgroundTable.page, caller.owner, kind, before, count)

    def wait(
        self,
        request: Request,
        kind: str,
        named: str,
        seconds: float,
        phases: Collection[Phase] = ENDS,
    ) -> BackgroundRequest:
        """Return a request once it is in one of these phases, or has ended, or after `seconds`.

        Raises UnknownRequest, and ReplyCancelled if the client of `request` leaves.
        """
        until = time.monotonic() + seconds
        gone = threading.Event()
        with self._watchers.watching(named) as changed:

            def leave() -> None:
                gone.set()
                changed.set()

            with request.watching(leave):
                while not gone.is_set():
                    changed.clear()
                    found = self.find(request.caller, kind, named)
                    left = until - time.monotonic()
                    if found.phase in phases or found.has_ended or left <= 0:
                        return found
                    self.wake()  # from now on it looks more often
                    changed.wait(left)
        raise ReplyCancelled(WENT_AWAY)

    def cancel(self, caller: Caller, kind: str, named: str) -> BackgroundRequest:
        """End a request if it has not ended, wherever it is computed; return it as it is then."""
        found = self.find(caller, kind, named)
        found = self.client.do(BackgroundTable.cancel, named, caller.owner) or found
        self._leave(named)
        return found

    def delete(self, caller: Caller, kind: str, named: str) -> None:
        """End a request, and delete it with all that was computed."""
        self.find(caller, kind, named)
        self.client.do(BackgroundTable.delete, named, caller.owner)
        self._leave(named)

    @property
    def client(self) -> JournalClient:
        """What sends calls to the journal. Raises MalformedRequest if there is none."""
        if self._client is None:
            raise MalformedRequest(
                "this server accepts no background requests, because JOURNAL is off; set JOURNAL "
                "to a file, or send a request whose reply you read"
            )
        return self._client

    def _same(self, caller: Caller, accepted: BackgroundRequest) -> BackgroundRequest:
        """Return the request that has this id: this one, or an earlier one that is the same."""
        found = self.find(caller, accepted.kind, accepted.id)
        if not found.has_ended and (found.path, found.body) != (accepted.path, accepted.body):
            raise KeyReused(
                "this Idempotency-Key belongs to another request; use a new key for each "
                "request, and repeat a request with the same body"
            )
        return found

    def _leave(self, named: str) -> None:
        if self._worker is not None:
            self._worker.leave(named)

    def _room(self, running: int) -> int:
        statuses = (slot.health().status for slot in self._models.current)
        return room(statuses, self._share, running)


def id_of(team: str, kind: str, key: str | None) -> str:
    """Return the id of a new request; with an idempotency key, always the same one."""
    if key is None:
        return fresh_id()
    return hashlib.sha256(f"{team}\0{kind}\0{key}".encode()).hexdigest()[:36]
