"""JSON and server-sent events over HTTP, for a server on this machine.

Needs only the standard library, and ignores the proxies that the environment names.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from rowcast.errors import RowcastError, Unavailable

_DATA = b"data: "
_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the server at one address."""

    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, path: str, seconds: float = 10.0) -> tuple[int, Any]:
        """Return status and JSON of a GET. Raises OSError without an answer in time."""
        with closing(self._connection(seconds)) as connection:
            response = self._send(connection, "GET", path, None)
            return response.status, _json(response.read())

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON and return the JSON answer. Raises RowcastError with the server's message.

        A refusal that may be over soon is an Unavailable.
        """
        with closing(self._connection(None)) as connection:
            response = self._send(connection, "POST", path, body)
            _check(response)
            return _json(response.read())

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[Any]:
        """Send JSON and yield the JSON of each event. Raises RowcastError if the stream fails."""
        with closing(self._connection(None)) as connection:
            response = self._send(connection, "POST", path, body)
            _check(response)
            for line in response:
                if line.startswith(_DATA):
                    data = line.removeprefix(_DATA).strip()
                    if data == _DONE:
                        return
                    yield _without_error(_json(data))
            raise RowcastError("the stream was cut before its end")

    def _connection(self, seconds: float | None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=seconds)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
    ) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        connection.request(
            method, path, content, {**self.headers, "Content-Type": "application/json"}
        )
        return connection.getresponse()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise RowcastError(f"the answer is not JSON: {content[:80]!r}") from error


def _check(response: http.client.HTTPResponse) -> None:
    if response.status < 400:
        return
    message, later = message_of(_json(response.read())), response.getheader("Retry-After", "")
    if response.status == Unavailable.status and later.isdigit():
        raise Unavailable(message, int(later))
    raise RowcastError(message)


def _without_error(event: Any) -> Any:
    if isinstance(event, dict) and "error" in event:
        raise RowcastError(message_of(event))
    return event


def message_of(answer: Any) -> str:
    """Return the message of an error, in any dialect's format."""
    if not isinstance(answer, dict):
        return str(answer)
    error = answer.get("error", answer)
    return str(error.get("message", error) if isinstance(error, dict) else error)
