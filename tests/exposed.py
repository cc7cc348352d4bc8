"""Text for Prometheus, read with the client library's own parsers."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
Samples = dict[tuple[str, ...], float]


def read_text(text: str) -> dict[str, Metric]:
    """Return the metrics in Prometheus' text by their names."""
    return _by_name(text_string_to_metric_families(text))


def read_open(text: str) -> dict[str, Metric]:
    """Return the metrics in OpenMetrics' text by their names."""
    return _by_name(open_metrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def samples(text: str) -> Samples:
    """Return each sample by its name and the values of its labels, in the order of their names."""
    return samples_of(read_text(text))


def samples_of(metrics: dict[str, Metric]) -> Samples:
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for metric in metrics.values()
        for each in metric.samples
    }


def _by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {each.name: each for each in metrics}
