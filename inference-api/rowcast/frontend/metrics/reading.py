"""The metrics that are read at each scrape: what backends, supervisor and journal report.

Every process has the same reports, at most a second apart, so the process that is scraped shows its
own. Only the journal's counts need a call, whose result is reused for some seconds.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from rowcast.errors import JournalFailing
from rowcast.frontend.metrics import families
from rowcast.frontend.models.models import Models
from rowcast.frontend.models.slot import Slot
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.journal.background.table import BackgroundTable
from rowcast.models.messages import State
from rowcast.settings import Settings
from rowcast.wire import Status
from rowcast_metrics.family import Family, Labels
from rowcast_metrics.totals import Numbers, Series

BACKGROUND_SECONDS = 5.0


def cache_usage(status: Status) -> float:
    """Return the part of the cache's memory that replies commit to, from 0 to 1."""
    return status.cache.committed / max(1, status.cache.tokens)


_OF_STATUS: Mapping[Family, Callable[[Status], float]] = {
    families.SEATED: lambda status: status.seated,
    families.ROWS: lambda status: status.rows,
    families.WAITING: lambda status: status.waiting,
    families.CACHE: cache_usage,
    families.STEPS: lambda status: status.steps,
    families.PREFIX_TOKENS: lambda status: status.prefixes.looked_up,
    families.PREFIX_FOUND: lambda status: status.prefixes.found,
    families.PREFIX_BYTES: lambda status: status.prefixes.bytes,
    families.PREFIX_LIMIT: lambda status: status.prefixes.limit,
}
_OF_SLOT: Mapping[Family, Callable[[Slot], float]] = {
    families.READY: lambda slot: slot.health().ready,
    families.LOADS: lambda slot: slot.state.loads,
    families.LOAD_SECONDS: lambda slot: slot.state.load_seconds,
    families.MEMORY: lambda slot: slot.state.needs,
    families.ENDS: lambda slot: slot.state.ends,
}


class Reading:
    """Reads the reports that one process has."""

    def __init__(self, settings: Settings, models: Models, journal: JournalClient | None) -> None:
        self._journal_path = settings.journal_path
        self._models = models
        self._journal = journal
        self._background: Series | None = None
        self._background_read = 0.0

    def series(self) -> Iterator[Series]:
        """Yield all that is known, one family after the other."""
        slots = self._models.current
        statuses = {slot.name: slot.health().status for slot in slots}
        for family, of_status in _OF_STATUS.items():
            known = statuses.items()
            yield _by_model(family, {name: of_status(each) for name, each in known if each})
        for family, of_slot in _OF_SLOT.items():
            yield _by_model(family, {slot.name: of_slot(slot) for slot in slots})
        yield _states(slots)
        yield Series(
            families.INFO,
            {(slot.name, slot.state.fingerprint): (1.0,) for slot in slots},
        )
        yield _builds(each.state for each in self._models.states())
        yield Series(families.MEMORY_LIMIT, {(): (float(self._models.memory),)})
        if self._journal is not None and self._journal_path is not None:
            yield Series(families.JOURNAL_BYTES, {(): (float(_size(self._journal_path)),)})
            yield self._background_requests(self._journal)

    def _background_requests(self, journal: JournalClient) -> Series:
        """Return how many have not ended, as of some seconds ago."""
        now = time.monotonic()
        if self._background is None or now - self._background_read > BACKGROUND_SECONDS:
            self._background_read = now
            self._background = Series(families.BACKGROUND, _open_requests(journal))
        return self._background


def _open_requests(journal: JournalClient) -> dict[Labels, Numbers]:
    """Return how many background requests have not ended; nothing while the journal fails."""
    try:
        found = journal.do(BackgroundTable.open_counts)
    except JournalFailing:
        return {}
    return {(phase,): (float(count),) for phase, count in found.items()}


def _by_model(family: Family, values: Mapping[str, float]) -> Series:
    return Series(family, {(name,): (float(value),) for name, value in values.items()})


def _states(slots: Iterable[Slot]) -> Series:
    return Series(
        families.STATE,
        {
            (slot.name, state): (float(slot.state.state == state),)
            for slot in slots
            for state in get_args(State)
        },
    )


def _builds(states: Iterable[State]) -> Series:
    counts = Counter(states)
    return Series(families.BUILDS, {(each,): (float(counts[each]),) for each in get_args(State)})


def _size(journal: Path) -> int:
    """Return the bytes of the journal's file and of SQLite's log beside it."""
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    return sum(each.stat().st_size for each in files if each.exists())
