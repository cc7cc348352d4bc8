"""Answers without the application: their bytes, and the statuses of requests that are not HTTP."""

import pytest
from gunicorn.http import errors as http

from rowcast_http.answers import client_error, last_answer


def test_an_answer_in_json_ends_the_connection() -> None:
    body = b'{"status_code": 431, "message": "too \\"large\\""}'
    head, sent = last_answer(431, body, ("Retry-After", 7)).split(b"\r\n\r\n")
    assert sent == body
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"Connection: close" in head
    assert b"Content-Type: application/json" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert head.endswith(b"\r\nRetry-After: 7")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (http.LimitRequestLine(9, 8), 414),
        (http.LimitRequestHeaders("too long"), 431),
        (http.ExpectationFailed("something"), 417),
        (http.InvalidRequestLine("GET"), 400),
        (http.InvalidChunkSize(b"zz"), 400),
        (http.InvalidResponseHeader("the application's"), 0),
        (http.InvalidResponseHeaderName("the application's"), 0),
        (RuntimeError("ours"), 0),
    ],
)
def test_only_the_client_s_errors_have_a_client_s_status(error: Exception, status: int) -> None:
    assert client_error(error) == status
