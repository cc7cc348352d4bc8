"""The server's dialects in this process: a request's body in, status and JSON out.

    Dialects(runtime).answer(batch, task) ──▶ Answered(200, {"id": …, "choices": […]})

Nothing in an answer depends on when or how often it is computed: id, seed and time follow from the
line's number and the batch.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from werkzeug.exceptions import HTTPException

from rowcast.errors import RowcastError, Unavailable
from rowcast.frontend.api import DIALECTS
from rowcast.frontend.api.dialect import Api, dialect_for
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.models import fixed
from rowcast.frontend.request.origin import Origin, seed_of
from rowcast.frontend.request.request import Body, Request
from rowcast.offline.batch.lines import Task
from rowcast.offline.runtime import Runtime
from rowcast.offline.struct_types import describe_structs
from rowcast_http.client_watch import ClientWatch

RETRY_SECONDS = 0.1
_OF_TIME = ("tokens_per_second", "processing_time")  # of a usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all answers of a batch share."""

    created: int
    seed: int

    def id_of(self, number: int) -> str:
        """Return the id of the answer to a line."""
        return f"batch{number:012d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest(Request):
    """A request whose origin follows from its place in the batch."""

    number: int
    batch: Batch

    def origin(self) -> Origin:
        """Return the origin of its reply."""
        return Origin(
            id=self.batch.id_of(self.number),
            path=self.path,
            body=self.body.read(),
            seed=seed_of(str(self.batch.seed), str(self.number)),
            created=self.batch.created,
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """A response: its status and JSON."""

    status: int
    body: dict[str, Any]


class Dialects:
    """The dialects of one model. Any thread may call `answer`."""

    def __init__(self, runtime: Runtime) -> None:
        describe_structs()  # those of all dialects, which this module has imported
        settings = runtime.settings
        watch = ClientWatch(settings.client_seconds)  # not started: nothing is connected
        self.frontend = Frontend(settings, watch, fixed(settings, runtime.served))
        self._api = Api(self.frontend, DIALECTS)
        self._stop = threading.Event()
        self._watched: set[Callable[[], None]] = set()

    def answer(self, batch: Batch, task: Task) -> Answered:
        """Return the response; try again while the decoder is being restarted."""
        while True:
            request = BatchRequest(
                path=task.path,
                body=Body(lambda: task.body),
                id=f"batch-{task.number}",
                began=time.monotonic(),
                watch=self._watch,
                number=task.number,
                batch=batch,
            )
            try:
                return self._answered(request)
            except Unavailable:
                if self._stop.wait(RETRY_SECONDS):
                    raise
            finally:
                request.close()

    def stop(self) -> None:
        """End all requests."""
        self._stop.set()
        for gone in list(self._watched):
            gone()

    def _answered(self, request: BatchRequest) -> Answered:
        try:
            response = self._api.answer(request)
            try:
                body = response.body
                content = body if isinstance(body, bytes) else b"".join(body)
            finally:
                response.close()
        except Unavailable:
            raise
        except RowcastError as error:
            return self._refused(request, error.status, str(error), error)
        except HTTPException as error:
            return self._refused(request, error.code or 404, error.name, error)
        return Answered(response.status, _without_times(msgspec.json.decode(content)))

    def _refused(self, request: Request, status: int, why: str, error: Exception) -> Answered:
        dialect = dialect_for(request, self._api.dialects)
        return Answered(status, dialect.error_body(status, why, error))

    def _watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Call `gone` at `stop`; return what ends that."""
        self._watched.add(gone)
        if self._stop.is_set():
            gone()
        return lambda: self._watched.discard(gone)


def _without_times(body: dict[str, Any]) -> dict[str, Any]:
    """Remove how long the answer took."""
    usage = body.get("usage")
    if isinstance(usage, dict):
        for name in _OF_TIME:
            usage.pop(name, None)
    return body
