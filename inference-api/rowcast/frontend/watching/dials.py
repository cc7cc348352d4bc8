"""What a team sees of the rows: its own by stream, phase and counts, all others as occupied.

    models(caller)     the state of each model, its rows and its waiting line
    reading(caller)    counts a reader of the event stream; Overloaded if the team has too many

The rows come from the backends, which have those of all processes: `build_watch`. A build that was
replaced is shown as long as it has rows. Knows no HTTP and no JSON.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rowcast.errors import Overloaded
from rowcast.frontend.models.models import Models
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.watching.build_watch import BuildWatch, Report
from rowcast.models.messages import State
from rowcast.transport.carriers import carrier
from rowcast.transport.ports import FrontendPort
from rowcast.wire import Prefixes, RowState

NO_PREFIXES = Prefixes()
FIRST_SECONDS = 2.0  # to wait for the first report of all backends; a step may take as long


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model, as one team sees it. Without a report there are no rows."""

    name: str
    state: State
    steps: int = 0
    tokens_per_second: float = 0.0
    rows: tuple[RowState | None, ...] = ()  # by their number; None: free
    own: frozenset[int] = frozenset()  # the numbers of the team's rows
    own_waiting: int = 0
    all_waiting: int = 0
    prefixes: Prefixes = NO_PREFIXES


class Dials:
    """The rows of all builds, and their readers in this process."""

    def __init__(self, models: Models, most_readers: int) -> None:
        """`most_readers`: of the event stream, per team."""
        self.stopping = False  # event streams end
        self._models = models
        self._most = most_readers
        self._readers: Counter[str] = Counter()
        self._watches: dict[str, BuildWatch] = {}  # by the builds' ids
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let event streams end; their readers reconnect elsewhere."""
        self.stopping = True

    def close(self) -> None:
        self.stop()
        for each in list(self._watches.values()):
            each.close()

    def models(self, caller: Caller) -> list[ModelView]:
        """Return all models, the default one first."""
        until = time.monotonic() + FIRST_SECONDS
        slots = self._models.slots()
        watches = self._renewed(slots)
        views = []
        for slot in slots:
            watch = watches.get(slot.build.id)
            report = watch.wait(max(0.0, until - time.monotonic())) if watch else None
            if slot.state.current or (report and report.states.rows):
                views.append(_view(slot, report, caller))
        return views

    @contextmanager
    def reading(self, caller: Caller) -> Iterator[None]:
        """Count a reader of the event stream. Raises Overloaded."""
        with self._lock:
            if self._readers[caller.team] >= self._most:
                raise Overloaded(
                    f"your team reads {self._most} event streams of the rows, which is the limit "
                    "(ROW_WATCHERS); close one, or read one together",
                    retry_after=5,
                )
            self._readers[caller.team] += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= Counter({caller.team: 1})  # drops teams without readers

    def _renewed(self, slots: list[Slot]) -> dict[str, BuildWatch]:
        """Return the watches of the builds that have a backend, each renewed."""
        with self._lock:
            known = {each.build.id: each for each in slots if each.has_backend}
            for build in self._watches.keys() - known:
                self._watches.pop(build).close()
            for build in known.keys() - self._watches:
                self._watches[build] = BuildWatch(partial(_connect, known[build]))
            watches = dict(self._watches)
        for each in watches.values():
            each.renew()
        return watches


def _connect(slot: Slot) -> FrontendPort:
    """Connect to the backend of a build, wherever it is now."""
    if slot.served is not None:
        return slot.served.sessions.connect()
    return carrier(slot.state.url).connect()


def _view(slot: Slot, report: Report | None, caller: Caller) -> ModelView:
    if report is None:
        return ModelView(slot.name, _state(slot))
    seated = {each.row: each for each in report.states.rows}
    waiting = dict(report.states.waiting)
    return ModelView(
        name=slot.name,
        state=_state(slot),
        steps=report.status.steps,
        tokens_per_second=report.states.tokens_per_second,
        rows=tuple(seated.get(row) for row in range(report.status.rows)),
        own=frozenset(row for row, each in seated.items() if _is_own(each, caller)),
        own_waiting=waiting.get(caller.team, 0) if caller.keeps else 0,
        all_waiting=sum(waiting.values()),
        prefixes=report.status.prefixes,
    )


def _is_own(row: RowState, caller: Caller) -> bool:
    """True if the row computes a stream of the caller's team."""
    return caller.keeps and bool(row.stream) and row.team == caller.team


def _state(slot: Slot) -> State:
    """Return the state of a build; `loading`, too, while its backend is being replaced."""
    replaced = slot.serves and slot.served is not None and not slot.health().ready
    return "loading" if replaced else slot.state.state
