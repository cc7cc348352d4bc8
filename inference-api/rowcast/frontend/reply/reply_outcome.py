"""How a reply ended, as observers see it."""

from dataclasses import dataclass, field

from rowcast.frontend.sessions.choice import Times
from rowcast.wire import FinishReason


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reply ended; times are on the monotonic clock."""

    reason: FinishReason
    tokens: int
    cached_tokens: int  # of the prompt
    accepted: bool
    first: float  # when its reader got the first token; 0: it got none
    ended: float
    computed: int = 0  # tokens that were computed for this process
    times: Times = field(default_factory=Times)
