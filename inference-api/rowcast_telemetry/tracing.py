"""Makes the tracer of a process from its settings, or none."""

import socket

from rowcast_settings.secret import Secret
from rowcast_telemetry.exporter import Collector, SpanExporter
from rowcast_telemetry.spans import Tracer
from rowcast_telemetry.trace_options import Switched, headers_of

LOCAL = "http://localhost:4318"  # where a collector listens by default
PATH = "/v1/traces"


def tracer_of(
    switch: Switched, endpoint: str | None, headers: Secret | None, service: str, share: float
) -> Tracer | None:
    """Return what traces requests, not started; None if traces are off."""
    if switch == "off" or (switch == "auto" and not endpoint):
        return None
    url = (endpoint or LOCAL).rstrip("/") + PATH
    resource = {"service.name": service, "host.name": socket.gethostname()}
    return Tracer(SpanExporter(Collector(url, headers_of(headers)), resource), share)
