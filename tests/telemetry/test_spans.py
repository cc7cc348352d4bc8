"""Spans, their encoding, and the tracer.

Covers `rowcast_telemetry/otlp`.
"""

import json
import time
from typing import Any

import pytest

from rowcast_telemetry import otlp
from rowcast_telemetry.spans import LONGEST_TEXT, MOST_EVENTS, Span, Tracer


class Taken:
    """An exporter that stores what it takes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def start(self) -> None:
        """Do nothing."""

    def put(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        """Do nothing."""


def fields_of(span: Span) -> dict[str, Any]:
    body = json.loads(otlp.body([otlp.encoded(span)], {"service.name": "a"}))
    (resource,) = body["resourceSpans"]
    assert resource["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "a"}}
    ]
    (scope,) = resource["scopeSpans"]
    (fields,) = scope["spans"]
    return dict(fields)


def test_a_span_is_encoded_as_the_protocol_says() -> None:
    taken = Taken()
    span = Tracer(taken).begin("work", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    span["text"], span["flag"], span["whole"], span["real"], span["list"] = "é", True, 7, 0.5, ["a"]
    span.note("seen", time.monotonic(), index=1)
    span.error = "deadline"
    span.end()
    assert taken.spans == [span]
    fields = fields_of(span)
    assert fields["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert fields["parentSpanId"] == "b7ad6b7169203331"
    assert fields["kind"] == 2
    assert [each["value"] for each in fields["attributes"]] == [
        {"stringValue": "é"},
        {"boolValue": True},
        {"intValue": "7"},
        {"doubleValue": 0.5},
        {"arrayValue": {"values": [{"stringValue": "a"}]}},
    ]
    (event,) = fields["events"]
    assert event["attributes"] == [{"key": "index", "value": {"intValue": "1"}}]
    began, ended = int(fields["startTimeUnixNano"]), int(fields["endTimeUnixNano"])
    assert began <= int(event["timeUnixNano"]) <= ended
    assert fields["status"] == {"code": 2, "message": "deadline"}


def test_a_span_without_a_parent_is_a_root() -> None:
    span = Tracer(Taken()).begin("work", None)
    span.end()
    assert "parentSpanId" not in fields_of(span)
    assert fields_of(span)["status"] == {}


def test_numbers_and_lists_are_added_up() -> None:
    span = Tracer(Taken()).begin("work", None)
    for number in (2, 3):
        span.add("tokens", number)
        span.append("reasons", "stop")
    assert span.attributes == {"tokens": 5, "reasons": ["stop", "stop"]}


def test_a_span_is_bounded() -> None:
    span = Tracer(Taken()).begin("work", None)
    span["text"] = "x" * 10_000
    for number in range(1000):
        span.note("again", float(number))
        span.append("reasons", "stop")
    assert len(str(span.attributes["text"])) == LONGEST_TEXT
    assert len(span.events) == MOST_EVENTS
    reasons = span.attributes["reasons"]
    assert isinstance(reasons, list)
    assert len(reasons) == MOST_EVENTS


def test_only_the_first_end_counts() -> None:
    taken = Taken()
    span = Tracer(taken).begin("work", None)
    span.end()
    ended = span.ended
    span.end()
    assert (taken.spans, span.ended) == ([span], ended)


@pytest.mark.parametrize("traceparent", [None, f"00-{'a' * 32}-{'b' * 16}-00"])
def test_what_is_not_recorded_is_not_exported(traceparent: str | None) -> None:
    taken = Taken()
    span = Tracer(taken, share=0).begin("work", traceparent)
    span["text"] = "x"
    span.note("seen", time.monotonic())
    span.end()
    assert (taken.spans, span.attributes, span.events) == ([], {}, [])
    assert span.context.header.endswith("-00")


def test_a_caller_decides_over_the_share() -> None:
    taken = Taken()
    Tracer(taken, share=0).begin("work", f"00-{'a' * 32}-{'b' * 16}-01").end()
    assert len(taken.spans) == 1


def test_the_share_is_that_of_the_traces() -> None:
    tracer = Tracer(Taken(), share=0.5)
    recorded = sum(tracer.begin("work", None).context.sampled for _ in range(400))
    assert 100 < recorded < 300
