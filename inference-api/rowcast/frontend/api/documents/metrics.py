"""OpenAPI operations of metrics."""

from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.operation import PLAIN, Operation

OPEN_METRICS = "application/openmetrics-text"

OPERATIONS = (
    Operation(
        method="get",
        path="/metrics",
        tag="health",
        summary="Counters and gauges for Prometheus",
        answers={PLAIN: {"type": "string"}, OPEN_METRICS: {"type": "string"}},
        error=NATIVE_ERROR,
    ),
)
