"""How long a reply may take, as its request says.

    X-Request-Timeout: 2.5     seconds from the request's coming to the reply's end
    {"timeout": 2.5}           the same, in a body; of both the shorter one holds

Its time is over wherever the reply is then: in the waiting line, in a row, or between two backends.
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
    """When a request's time is over; `seconds`: what it allows, None where it has all the time."""

    seconds: float | None
    began: float  # on the monotonic clock

    @classmethod
    def read(cls, headers: Headers, timeout: float | None, began: float) -> Self:
        """Of a request with these headers, whose body allows `timeout` seconds."""
        told = Fields({HEADER: headers.get(HEADER)}, [HEADER], lenient=True)
        allowed = min(
            told.number(HEADER, LONGEST, SHORTEST, LONGEST), LONGEST if timeout is None else timeout
        )
        return cls(allowed if allowed < LONGEST else None, began)

    @property
    def said(self) -> str:
        """The sentence for who waited."""
        return f"the reply took longer than the {self.seconds:g} s that its request allows"

    def call(self, over: Callable[[], None]) -> Callable[[], None]:
        """Call `over` once when the time is over; the result lets it be."""
        if self.seconds is None:
            return lambda: None
        timer = threading.Timer(max(0.0, self.began + self.seconds - monotonic()), over)
        timer.daemon = True
        timer.start()
        return timer.cancel
