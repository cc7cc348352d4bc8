"""From series to the text that Prometheus reads: its own format, or OpenMetrics.

The text comes in parts, each made in PART_SECONDS and the time of one series, so that others run
between them. Both formats are written here: the client library's writers take ten times as long,
and replace the colon in `vllm:` where they write OpenMetrics.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Literal

from rowcast_metrics.family import Family, Labels
from rowcast_metrics.totals import Numbers, Series

Names = Literal["both", "rowcast", "vllm"]

PART_SECONDS = 0.0003
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_OURS = "rowcast_"


class Exposition:
    """The form of one answer."""

    def __init__(self, accept: str = "", names: Names = "both") -> None:
        """`accept`: the request's header."""
        self._open = _prefers_open_metrics(accept)
        self._names = names

    @property
    def content_type(self) -> str:
        return OPEN_METRICS if self._open else TEXT

    def parts(self, all_series: Iterable[Series]) -> Iterator[bytes]:
        """Yield the text. If `all_series` is lazy, its work is spread over the parts, too."""
        part, began = "", time.monotonic()
        for text in self._texts(all_series):
            part += text
            if time.monotonic() - began > PART_SECONDS:
                yield part.encode()
                part, began = "", time.monotonic()
        yield (part + ("# EOF\n" if self._open else "")).encode()

    def _texts(self, all_series: Iterable[Series]) -> Iterator[str]:
        for series in all_series:
            yield ""  # the numbers were read, which took a while
            for name in series.family.names:
                if self._names in {"both", "rowcast" if name.startswith(_OURS) else "vllm"}:
                    yield self._head(name, series.family)
                    for labels, numbers in series.numbers.items():
                        yield "".join(_lines(name, series.family, labels, numbers))

    def _head(self, name: str, family: Family) -> str:
        counts = family.kind == "counter" and not self._open
        shown = f"{name}_total" if counts else name
        return f"# HELP {shown} {family.text}\n# TYPE {shown} {family.kind}\n"


def _prefers_open_metrics(accept: str) -> bool:
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind in best:
            best[kind] = max(best[kind], _quality(parameters))
    return 0 < best["application/openmetrics-text"] >= best["text/plain"]


def _quality(parameters: Iterable[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return float(each[2:])
            except ValueError:
                return 0.0
    return 1.0


def _lines(name: str, family: Family, values: Labels, numbers: Numbers) -> Iterator[str]:
    """Yield the samples of one series."""
    pairs = zip(family.labels, values, strict=True)
    labels = [f'{label}="{_escaped(value)}"' for label, value in pairs]
    braced = f"{{{','.join(labels)}}}" if labels else ""
    if family.kind != "histogram":
        yield f"{next(family.samples_of(name))}{braced} {numbers[0]!r}\n"
        return
    before = "".join(f"{label}," for label in labels)
    counts = list(accumulate(numbers[:-1]))
    for bound, count in zip((*map(float, family.bounds), "+Inf"), counts, strict=True):
        yield f'{name}_bucket{{{before}le="{bound}"}} {count!r}\n'
    yield f"{name}_count{braced} {counts[-1]!r}\n{name}_sum{braced} {numbers[-1]!r}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def table(families: Iterable[Family]) -> str:
    """Return families as the table of a page."""
    rows = ["| name | vLLM's name | kind | labels | meaning |", "|---|---|---|---|---|"]
    for each in families:
        end = "_total" if each.kind == "counter" else ""
        ours, theirs = (
            " ".join(f"`{name}{end}`" for name in each.names if name.startswith(_OURS) is wanted)
            for wanted in (True, False)
        )
        labels = ", ".join(f"`{label}`" for label in each.labels)
        rows.append(f"| {ours} | {theirs} | {each.kind} | {labels} | {each.text} |")
    return "\n".join(rows) + "\n"
