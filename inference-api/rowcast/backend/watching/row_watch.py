"""The frontends that watch the rows, and what they are sent each second.

In: rows, waiting line, and the number of tokens drawn so far. Out: one `RowStates` for each
frontend that has sent WatchRows. While nobody watches, a step costs a comparison. Sends nothing.
"""

from collections.abc import Iterable

from rowcast.backend.line import WaitingLine
from rowcast.backend.rows import Rows
from rowcast.transport.ports import FrontendId
from rowcast.wire import RowStates


class RowWatch:
    """The watching frontends of one backend."""

    def __init__(self, rows: Rows, line: WaitingLine, seconds: float) -> None:
        """`seconds`: between two reports."""
        self.drawn = 0  # tokens, for all rows
        self._rows = rows
        self._line = line
        self._seconds = seconds
        self._frontends: set[FrontendId] = set()
        self._due = 0.0
        self._last = (0.0, 0)  # when the speed was measured, and the tokens drawn until then
        self._speed = 0.0

    def join(self, frontend: FrontendId) -> None:
        self._frontends.add(frontend)

    def leave(self, frontend: FrontendId) -> None:
        self._frontends.discard(frontend)

    def states(self) -> RowStates:
        """Return the rows and the line as they are now."""
        return RowStates(
            rows=tuple(reply.state for reply in self._rows),
            waiting=tuple(self._line.team_counts()),
            tokens_per_second=self._speed,
        )

    def due(self, now: float) -> Iterable[tuple[FrontendId, RowStates]]:
        """Return what is to be sent; once per `seconds`, to all that watch."""
        if now < self._due:
            return ()
        self._due = now + self._seconds
        self._measure(now)
        if not self._frontends:
            return ()
        states = self.states()
        return [(frontend, states) for frontend in self._frontends]

    def _measure(self, now: float) -> None:
        since, drawn = self._last
        self._last = (now, self.drawn)
        self._speed = round((self.drawn - drawn) / (now - since), 1) if since else 0.0
