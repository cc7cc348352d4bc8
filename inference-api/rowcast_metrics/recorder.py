"""What a process counts: series in its segment, each changed in a tenth of a microsecond.

A series that an earlier owner of the segment has begun is continued.
"""

import logging
from bisect import bisect_left
from dataclasses import dataclass

from rowcast_metrics.family import Family, Labels
from rowcast_metrics.segment import Segment

_log = logging.getLogger("rowcast.metrics")


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that grows."""

    numbers: "memoryview[float]"
    at: int

    def add(self, amount: float = 1.0) -> None:
        self.numbers[self.at] += amount


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that changes."""

    numbers: "memoryview[float]"
    at: int

    def set(self, value: float) -> None:
        self.numbers[self.at] = value

    def add(self, amount: float = 1.0) -> None:
        self.numbers[self.at] += amount


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each range of values was observed, and their sum."""

    numbers: "memoryview[float]"
    at: int
    bounds: tuple[float, ...]

    def observe(self, value: float, times: int = 1) -> None:
        numbers, at = self.numbers, self.at
        numbers[at + bisect_left(self.bounds, value)] += times
        numbers[at + len(self.bounds) + 1] += value * times


class Recorder:
    """The series of one process."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        segment.own()
        self._places = {(e.family, e.labels, e.count): e.at for e in segment.entries()}
        self._full = False

    def counter(self, family: Family, *labels: str) -> Counter:
        return Counter(*self._place(family, labels))

    def gauge(self, family: Family, *labels: str) -> Gauge:
        return Gauge(*self._place(family, labels))

    def histogram(self, family: Family, *labels: str) -> Histogram:
        return Histogram(*self._place(family, labels), family.bounds)

    def _place(self, family: Family, labels: Labels) -> "tuple[memoryview[float], int]":
        """Return where a series has its numbers; if there is no room, where nobody reads them."""
        key, gauge = (family.name, labels, family.numbers), family.kind == "gauge"
        if key not in self._places:
            added = self._segment.add(*key, of_owner=gauge)
            if added is None:
                self._note_full(family)
                return memoryview(bytearray(8 * family.numbers)).cast("d"), 0
            self._places[key] = added.at
        return self._segment.numbers, self._places[key]

    def _note_full(self, family: Family) -> None:
        if not self._full:
            self._full = True
            _log.error("there is no room for more series, such as one of %s", family.name)
