"""A server that answers with JSON: one request, one parsed answer.

In: a path, and the fields of a body if there is one. Out: the answer; `Refused` with the server's
status and message, from the error format of any dialect; `Unreachable` if no server answers, or not
with JSON.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    """The server refuses the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Unreachable(Exception):
    """No server answers, or its answer cannot be parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonServer:
    """The server to send to."""

    url: str
    token: str | None = field(repr=False)
    seconds: float
    agent: str  # this program's name, for the server's log

    def get(self, path: str) -> Any:
        return self._answer(path, None)

    def post(self, path: str, fields: Mapping[str, Any]) -> Any:
        return self._answer(path, json.dumps(fields, separators=(",", ":")).encode())

    def _answer(self, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers["User-Agent"] = self.agent
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.removeprefix('Bearer ')}"
        request = urllib.request.Request(self.url.rstrip("/") + path, body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            raise Unreachable(f"{self.url} does not answer: {why}") from None


def _refusal(error: urllib.error.HTTPError) -> Refused:
    with error:
        body = error.read(1 << 16).decode(errors="replace")
    try:
        answer = json.loads(body)
        message = answer["error"]["message"] if "error" in answer else answer["message"]
    except (ValueError, KeyError, TypeError):
        message = body[:200]
    return Refused(error.code, str(message))
