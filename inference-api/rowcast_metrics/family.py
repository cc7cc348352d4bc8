"""What a metric is: its names, kind, labels and, of a histogram, bounds.

Samples of a counter end with `_total`, those of a histogram with `_bucket`, `_sum` and `_count`;
`name` has none of these ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min"]  # how the gauges of several processes are combined
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, with one series for each of its labels' values."""

    name: str
    kind: Kind
    text: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    also: str = ""  # a second name of the same series
    merge: Merge = "sum"

    @property
    def numbers(self) -> int:
        """How many numbers a series has: in a histogram, one per bucket and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, self.also) if self.also else (self.name,)

    def samples_of(self, name: str) -> Iterator[str]:
        """Yield the names of its samples, under one of its names."""
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
        yield from (f"{name}{end}" for end in ends[self.kind])
