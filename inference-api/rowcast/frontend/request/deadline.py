"""How long a reply may take, as requested.

    X-Request-Timeout: 2.5     seconds from the arrival of the request to the end of the reply
    {"timeout": 2.5}           the same, in a body; the shorter of the two counts

The deadline applies wherever the reply is: in the waiting line, in a row, or between two backends.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Self

from werkzeug.datastructures import Headers

from rowcast.frontend.request.fields import Fields

HEADER = "X-Request-Timeout"
SHORTEST, LONGEST = 0.001, 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Deadline:
    """A request's deadline; `seconds` is the requested timeout, None for no limit."""

    seconds: float | None
    began: float  # on the monotonic clock

    @classmethod
    def read(cls, headers: Headers, timeout: float | None, began: float) -> Self:
        """Return the deadline of a request whose body allows `timeout` seconds."""
        header = Fields({HEADER: headers.get(HEADER)}, [HEADER], lenient=True)
        allowed = min(
            header.number(HEADER, LONGEST, SHORTEST, LONGEST),
            LONGEST if timeout is None else timeout,
        )
        return cls(allowed if allowed < LONGEST else None, began)

    @property
    def message(self) -> str:
        """The error message when the time is over."""
        return f"the reply took longer than the request's timeout of {self.seconds:g} s"

    def call(self, over: Callable[[], None]) -> Callable[[], None]:
        """Call `over` once when the time is over; return a function that cancels this."""
        if self.seconds is None:
            return lambda: None
        timer = threading.Timer(max(0.0, self.began + self.seconds - monotonic()), over)
        timer.daemon = True
        timer.start()
        return timer.cancel
