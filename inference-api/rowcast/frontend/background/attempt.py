"""One attempt to compute a background request: it ends with a result, or is repeated later.

The request goes through the same function as if it had come by HTTP. A refusal is a result, in the
form of its dialect. A failure that may pass, such as a model that cannot be loaded now, is not. If
the build that began a request is gone, the request begins anew, unless its stream may have been
read.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Protocol

from rowcast.errors import BuildChanged, ReplyCancelled, RowcastError, Unavailable
from rowcast.frontend.background.presence import Presence
from rowcast.frontend.reply.trace import begin_span, end_span
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.response import Response
from rowcast.journal.background.queue import LONGEST_DELAY
from rowcast.journal.background.record import BackgroundRequest
from rowcast_telemetry.spans import Span, Tracer

_log = logging.getLogger("rowcast.background")


class Answers(Protocol):
    """What computes requests: all dialects of a frontend."""

    def answer(self, request: Request, /) -> Response: ...

    def failure(self, request: Request, error: Exception, /) -> Response: ...


@dataclass(frozen=True, slots=True)
class Result:
    """The HTTP status and body that the request would have had."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Again:
    """The request is to be queued again, after `delay` seconds."""

    reason: str
    delay: float
    restart: bool = False  # forget what was computed


class Attempt:
    """One request that this process computes."""

    def __init__(self, accepted: BackgroundRequest, tracer: Tracer | None = None) -> None:
        """`tracer`: begins its span; None: it has none."""
        self.accepted = accepted
        self._tracer = tracer
        self._presence = Presence()
        self._why = ""

    def leave(self, why: str) -> None:
        """Stop computing it: it was cancelled, or is computed elsewhere or later."""
        self._why = why
        self._presence.leave()

    def run(self, answers: Answers, parsing: "threading.Lock") -> Result | Again:
        """Compute it. `parsing`: the lock held while a large body is parsed."""
        request = self._request(parsing)
        outcome = self._outcome(answers, request)
        if request.span is not None:
            _end(request.span, outcome)
        return outcome

    def _outcome(self, answers: Answers, request: Request) -> Result | Again:
        try:
            return _result(answers.answer(request))
        except Unavailable as unavailable:
            delay = min(float(unavailable.retry_after), LONGEST_DELAY)
            return Again(str(unavailable), delay)
        except ReplyCancelled as cancelled:
            return Again(self._why or str(cancelled), 1)
        except RowcastError as error:
            if isinstance(error, BuildChanged) and not self.accepted.streamed:
                return Again(str(error), 0, restart=True)
            return _result(answers.failure(request, error))
        except Exception as error:  # noqa: BLE001  # it is this request's result, and no other's
            _log.exception("request=%s unexpected error in the background", request.id)
            return _result(answers.failure(request, error))
        finally:
            request.close()

    def _request(self, parsing: "threading.Lock") -> Request:
        accepted = self.accepted
        return Request(
            path=accepted.path,
            body=Body(lambda: b"", parsing),
            id=accepted.request_id,
            caller=Caller(team=accepted.team, token_id=accepted.token_id),
            watch=self._presence.watch,
            span=self._span(),
        ).in_background(accepted)

    def _span(self) -> Span | None:
        """Begin the span of this attempt, in a trace of its own: its sender is not waiting."""
        if self._tracer is None:
            return None
        span = begin_span(self._tracer, f"POST {self.accepted.path}", self.accepted.request_id)
        span["rowcast.background"] = True
        return span


def _end(span: Span, outcome: Result | Again) -> None:
    """End the span of an attempt; one that is repeated later has not failed."""
    if isinstance(outcome, Result):
        end_span(span, outcome.status)
    else:
        span["rowcast.repeated"] = outcome.reason
        span.end()


def _result(response: Response) -> Result:
    """Return all of a response."""
    try:
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return Result(response.status, body)
    finally:
        response.close()
