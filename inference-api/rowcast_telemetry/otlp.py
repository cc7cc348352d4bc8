"""Spans as OTLP in JSON: the body of a request to a collector's `/v1/traces`.

The encoding is OpenTelemetry's stable one: numbers of 64 bits are strings, ids are hexadecimal.
"""

import json
from collections.abc import Iterable, Mapping

from rowcast_telemetry.spans import Span, SpanEvent, Value

SERVER, ERROR = 2, 2  # a span's kind; a status


def body(spans: Iterable[str], resource: Mapping[str, Value]) -> bytes:
    """Return a request of spans that are encoded already."""
    described = json.dumps({"attributes": _attributes(resource)})
    listed = ",".join(spans)
    scope = f'{{"scope":{{"name":"rowcast"}},"spans":[{listed}]}}'
    return f'{{"resourceSpans":[{{"resource":{described},"scopeSpans":[{scope}]}}]}}'.encode()


def encoded(span: Span) -> str:
    """Return one span."""
    fields: dict[str, object] = {
        "traceId": span.context.trace,
        "spanId": span.context.span,
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
        "events": [_event(each) for each in span.events],
        "status": {"code": ERROR, "message": span.error} if span.error else {},
    }
    if span.parent:
        fields["parentSpanId"] = span.parent
    return json.dumps(fields)


def _event(event: SpanEvent) -> dict[str, object]:
    return {
        "name": event.name,
        "timeUnixNano": str(event.at),
        "attributes": _attributes(event.attributes),
    }


def _attributes(attributes: Mapping[str, Value]) -> list[dict[str, object]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Value) -> dict[str, object]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"arrayValue": {"values": [_value(each) for each in value]}}
