"""T-09: streaming responses token by token over HTTP/1.1 chunked encoding."""

import http.client
import json
import time

from processes import Running


def test_t09_streams_token_by_token_in_http11_chunks(paced_server: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", paced_server.port, timeout=30)
    body = json.dumps({"text": "What is your favorite condiment?", "max_tokens": 20, "seed": 3})
    connection.request("POST", "/inference/falcon40b", body)
    response = connection.getresponse()
    assert response.version == 11
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert response.getheader("Content-Length") is None
    arrivals = []
    while response.read1():
        arrivals.append(time.monotonic())
    assert len(arrivals) > 10
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] - arrivals[0] > 0.1
