"""Answers that the server makes without the application: the last ones on their connections."""

from http import HTTPStatus
from typing import Final

from gunicorn.http import errors as http

_STATUS: Final = (
    (http.LimitRequestLine, 414),
    (http.LimitRequestHeaders, 431),
    (http.ExpectationFailed, 417),
    (http.ParseException, 400),
)
# Errors of the application's response that gunicorn derives from ParseException.
_NOT_THE_CLIENTS: Final = (
    http.InvalidResponseHeader,
    http.InvalidResponseHeaderName,
    http.ConfigurationProblem,
)


def client_error(error: BaseException) -> int:
    """Return the status for a request that gunicorn could not parse; 0 for any other error."""
    if isinstance(error, _NOT_THE_CLIENTS):
        return 0
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 0)


def phrase_of(status: int) -> str:
    """Return the phrase of a status; 529 is one that HTTP does not define."""
    return "Overloaded" if status == 529 else HTTPStatus(status).phrase


def last_answer(status: int, body: bytes, *headers: tuple[str, object]) -> bytes:
    """Return a JSON response after which the connection ends."""
    fields = (
        ("Connection", "close"),
        ("Content-Type", "application/json"),
        ("Content-Length", len(body)),
        *headers,
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} {phrase_of(status)}\r\n{lines}\r\n".encode() + body
