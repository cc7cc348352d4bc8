"""What `/metrics` shows of a server without sockets."""

from exposed import Samples, samples

from ..serving import Served


def counted(served: Served) -> Samples:
    """Return every sample."""
    served.frontend.publishing.publish()
    response = served.client.get("/metrics", headers={"X-Rowcast-Scraper": "true"})
    assert response.status_code == 200, response.text
    return samples(response.text)
