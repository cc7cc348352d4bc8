"""The settings of traces, and the tracer that they make.

Covers `rowcast_telemetry/tracing`.
"""

import pytest

from rowcast_settings.kinds import Invalid
from rowcast_settings.secret import Secret
from rowcast_telemetry.exporter import Collector, SpanExporter
from rowcast_telemetry.spans import Tracer
from rowcast_telemetry.trace_options import ENDPOINT, HEADERS, Switched, headers_of
from rowcast_telemetry.tracing import tracer_of

URL = "http://collector:4318"


@pytest.mark.parametrize(
    ("switch", "endpoint", "traces"),
    [
        ("auto", None, False),
        ("auto", URL, True),
        ("on", None, True),
        ("on", URL, True),
        ("off", URL, False),
    ],
)
def test_traces_are_on_if_they_are_wanted(
    switch: Switched, endpoint: str | None, traces: bool
) -> None:
    assert (tracer_of(switch, endpoint, None, "a", 1.0) is not None) == traces


@pytest.mark.parametrize(
    ("endpoint", "place", "path"),
    [
        (None, "localhost:4318", "/v1/traces"),
        (URL, "collector:4318", "/v1/traces"),
        (f"{URL}/otlp/", "collector:4318", "/otlp/v1/traces"),
        ("https://user:key@collector", "collector", "/v1/traces"),
    ],
)
def test_spans_go_below_the_endpoint(endpoint: str | None, place: str, path: str) -> None:
    collector = collector_of(tracer_of("on", endpoint, None, "a", 1.0))
    assert (collector.place, collector._url.path) == (place, path)


def collector_of(tracer: Tracer | None) -> Collector:
    assert tracer is not None
    assert isinstance(tracer._exporter, SpanExporter)
    return tracer._exporter._collector


def test_headers_are_read_and_unquoted() -> None:
    assert headers_of(Secret("api-key=a%20b, x=1")) == {"api-key": "a b", "x": "1"}
    assert headers_of(None) == {}


@pytest.mark.parametrize("text", ["", "a", "=b", "a b=c", "a=b%0d%0aX: y", "a=é", "a:b=c"])
def test_malformed_headers_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        HEADERS.checked(text)
    assert "name=value" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["collector:4318", "ftp://a", "http://", "http://a:0", "http://a?b"]
)
def test_malformed_endpoints_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        ENDPOINT.checked(text)
