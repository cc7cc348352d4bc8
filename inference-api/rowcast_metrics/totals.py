"""The sums of all segments: counters of all processes, past and present; gauges of living ones."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rowcast_metrics.family import Family, Labels, Merge
from rowcast_metrics.segment import Entry, Segment

Numbers = tuple[float, ...]
_MERGES: dict[Merge, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}


@dataclass(frozen=True, slots=True)
class Series:
    """A family with its numbers, by the values of its labels."""

    family: Family
    numbers: Mapping[Labels, Numbers]


class Totals:
    """What is in all segments now."""

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self._found: dict[str, list[tuple[Segment, Entry]]] = {}
        for segment in segments:
            self.include(segment)

    def include(self, segment: Segment) -> bool:
        """Include a segment in the sums; return False if it is empty."""
        entries = segment.entries()
        lives = bool(entries) and segment.has_owner
        for each in entries:
            if lives or not each.of_owner:
                self._found.setdefault(each.family, []).append((segment, each))
        return bool(entries)

    def of(self, family: Family) -> Series:
        """Return the series of one family."""
        parts: dict[Labels, list[Numbers]] = {}
        for segment, each in self._found.get(family.name, ()):
            if each.count == family.numbers and len(each.labels) == len(family.labels):
                numbers = tuple(segment.numbers[each.at : each.at + each.count])
                parts.setdefault(each.labels, []).append(numbers)
        merge = _MERGES[family.merge]
        found = {
            labels: tuple(merge(column) for column in zip(*rows, strict=True))
            for labels, rows in sorted(parts.items())
        }
        return Series(family, found)
