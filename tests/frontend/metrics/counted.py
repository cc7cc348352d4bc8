"""What `/metrics` shows of a server without sockets, read with the client library's parser."""

from prometheus_client.parser import text_string_to_metric_families

from ..serving import Served

Key = tuple[str, ...]  # a sample's name, and the values of its labels in the order of their names


def counted(served: Served) -> dict[Key, float]:
    """Return every sample."""
    served.client.application.extensions["rowcast"].publishing.publish()
    response = served.client.get("/metrics", headers={"X-Rowcast-Scraper": "true"})
    assert response.status_code == 200, response.text
    return samples(response.text)


def samples(text: str) -> dict[Key, float]:
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }
