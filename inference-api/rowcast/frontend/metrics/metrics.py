"""What one frontend process counts, in memory that outlives it.

    model(name)          the meter of a model's replies
    answered, refused    each response; each request that was refused, and why
    paused               how late the event loop was

The memory is gunicorn's, if ROWCAST_METRICS names it; otherwise the process's own.
"""

import os
from typing import Self

from rowcast.frontend.metrics import families
from rowcast.frontend.metrics.model_meter import ModelMeter
from rowcast.frontend.metrics.teams import TeamCounters
from rowcast.settings import Settings
from rowcast_metrics.memory import Memory, from_handover
from rowcast_metrics.recorder import Recorder
from rowcast_metrics.segment import Segment
from rowcast_metrics.totals import Totals

HANDOVER = "ROWCAST_METRICS"  # set by gunicorn.conf.py, for each worker
OTHER_ROUTE = "other"
EARLY = "refused early"  # the route of requests that were refused before they were parsed
# Causes that alerts watch: a rate needs their zero.
_CAUSES = (
    "overloaded",
    "not_ready",
    "stopping",
    "journal_failing",
    "malformed_http",
    "internal",
    "no_room",
)


class Metrics:
    """The counters of one process."""

    def __init__(self, memory: Memory, segment: Segment, teams: int) -> None:
        """`teams`: how many teams have series of their own."""
        self.memory = memory
        self.recorder = Recorder(segment)
        self.recorder.counter(families.STARTS).add()
        self.paused = self.recorder.histogram(families.PAUSES).observe
        self._teams = TeamCounters(self.recorder, memory, teams)
        self._models: dict[str, ModelMeter] = {}
        for cause in _CAUSES:
            self.recorder.counter(families.REFUSALS, cause)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the metrics of this process, as gunicorn started it."""
        if (handed := os.environ.get(HANDOVER)) is None:
            return cls.private(settings.metrics_teams)
        return cls(*from_handover(handed), settings.metrics_teams)

    @classmethod
    def private(cls, teams: int = 0) -> Self:
        """Return metrics that no other process sees."""
        memory = Memory.create(1)
        return cls(memory, memory.segments[0], teams)

    def model(self, name: str) -> ModelMeter:
        """Return the meter of a model; builds of one name share it."""
        if name not in self._models:
            self._models[name] = ModelMeter(self.recorder, name, self._teams)
        return self._models[name]

    def answered(self, route: str, status: int) -> None:
        """Count a response. `route`: method and pattern of the path, or OTHER_ROUTE."""
        self.recorder.counter(families.REQUESTS, route, f"{status // 100}xx").add()

    def refused(self, cause: str) -> None:
        """Count a request that was refused. `cause`: one of a fixed number of words."""
        self.recorder.counter(families.REFUSALS, cause).add()

    def totals(self) -> Totals:
        """Return what all processes have counted."""
        return Totals(self.memory.segments)
