"""Spans, and the tracer that begins them.

    span = tracer.begin("chat storyteller", traceparent)
    span["gen_ai.usage.output_tokens"] = 20
    span.note("rowcast.first_token", time.monotonic())
    span.end()                                              ──▶ exporter

If its trace is not recorded, a span has only a context to pass on, and nothing is stored in it.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rowcast_telemetry.trace_context import TraceContext

MOST_EVENTS = 128  # of a span; OpenTelemetry's own limit
LONGEST_TEXT = 256  # characters of an attribute

Value = str | bool | int | float | Sequence[str]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at: int  # nanoseconds since 1970
    attributes: Mapping[str, Value]


@dataclass(slots=True)
class Span:
    """One operation of one process."""

    context: TraceContext
    parent: str  # the id of its parent; "" if it has none
    name: str
    export: Callable[["Span"], None]  # takes it once it has ended
    began: int = field(default_factory=time.time_ns)  # nanoseconds since 1970
    ended: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    error: str = ""  # why it has failed
    _clock: float = field(default_factory=time.monotonic)  # at its beginning

    def __setitem__(self, name: str, value: Value) -> None:
        if self.context.sampled:
            self.attributes[name] = value[:LONGEST_TEXT] if isinstance(value, str) else value

    def add(self, name: str, number: int) -> None:
        """Add to a number, which begins at 0."""
        before = self.attributes.get(name, 0)
        self[name] = before + number if isinstance(before, int) else number

    def append(self, name: str, text: str) -> None:
        """Append to a list of texts."""
        before = self.attributes.get(name, ())
        if not isinstance(before, bool | int | float) and len(before) < MOST_EVENTS:
            self[name] = [*before, text]

    def note(self, name: str, at: float, **attributes: Value) -> None:
        """Add an event, at a time on the monotonic clock."""
        if self.context.sampled and len(self.events) < MOST_EVENTS:
            nanoseconds = self.began + int((at - self._clock) * 1e9)
            self.events.append(SpanEvent(name, nanoseconds, attributes))

    def end(self) -> None:
        """End it; the first end counts."""
        if self.context.sampled and not self.ended:
            self.ended = time.time_ns()
            self.export(self)


class Exporter(Protocol):
    """Takes spans that have ended, and returns at once."""

    def start(self) -> None: ...

    def put(self, span: Span, /) -> None: ...

    def close(self) -> None: ...


class Tracer:
    """Begins spans."""

    def __init__(self, exporter: Exporter, share: float = 1.0) -> None:
        """`share`: of the traces that begin here, the part that is recorded, from 0 to 1."""
        self._exporter = exporter
        self._share = share

    def start(self) -> None:
        self._exporter.start()

    def close(self) -> None:
        """Send the spans that have ended, within a short time."""
        self._exporter.close()

    def begin(self, name: str, traceparent: str | None) -> Span:
        """Begin a span, in the trace of its caller if there is one."""
        parent = TraceContext.read(traceparent)
        sampled = self._share >= 1 or random.random() < self._share  # noqa: S311  # no secret
        context = TraceContext.fresh(parent, sampled=sampled)
        return Span(context, parent.span if parent else "", name, self._exporter.put)
