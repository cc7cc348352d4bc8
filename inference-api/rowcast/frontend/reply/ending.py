"""How a reply ends: with a reason, and with an error if it is refused or incomplete."""

from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.errors import DeadlinePassed, NotReady, ReplyCancelled, ReplyFailed, RowcastError
from rowcast.frontend.sessions.choice import refusal
from rowcast.wire import Accepted, Event, Finished, FinishReason, Rejected

DECISIVE = (Accepted, Rejected, Finished)  # the events that decide the HTTP status
_FAILURES: dict[FinishReason, type[RowcastError]] = {
    "cancelled": ReplyCancelled,
    "unavailable": NotReady,
    "deadline": DeadlinePassed,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a reply ended."""

    reason: FinishReason
    tokens: int
    message: str = ""

    @property
    def whole(self) -> bool:
        return self.reason in {"stop", "length"}

    @property
    def failure(self) -> RowcastError:
        """The error that reports an incomplete reply."""
        problem = self.message or f"the reply ended with {self.reason}"
        return _FAILURES.get(self.reason, ReplyFailed)(problem)


def error_of(events: Sequence[Event]) -> RowcastError | None:
    """Return the error if a reply's first events mean that it was refused."""
    match next((event for event in events if isinstance(event, DECISIVE)), None):
        case None:
            return NotReady("the backend does not answer")
        case Rejected() as rejected:
            return refusal(rejected)
        case Finished() as end:
            ending = Ending(end.reason, end.length, end.message)
            return None if ending.whole else ending.failure
    return None
