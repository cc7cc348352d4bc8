"""The lines of a batch's file: each is one request, checked before any of them is computed.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {…}}

The body stays as it is, byte for byte. An error inside it is the result of its line alone.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from rowcast.errors import InvalidField
from rowcast.frontend.api.batches.types import LineError
from rowcast.frontend.background.row_count import row_count
from rowcast.frontend.turns import in_turns
from rowcast.journal.background.record import BackgroundRequest
from rowcast.journal.batches.record import Batch

KIND = "batch_line"
LONGEST_ID = 512
SHOWN_ERRORS = 100


class _Line(Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(Struct):
    stream: bool | None = None
    background: bool | None = None


_line = msgspec.json.Decoder(_Line)
_fields = msgspec.json.Decoder(dict[str, Any])
_body = msgspec.json.Decoder(_Body)


class Reader:
    """Reads the lines of one batch."""

    def __init__(self, batch: Batch, token_id: str) -> None:
        self._batch = batch
        self._token_id = token_id
        self._ids: set[str] = set()
        self.requests: list[BackgroundRequest] = []
        self.errors: list[LineError] = []

    def read(self, content: bytes) -> None:
        """Read all lines, between which other requests run."""
        for number, line in in_turns(enumerate(content.split(b"\n"), 1)):
            if line.strip() and len(self.errors) < SHOWN_ERRORS:
                self._read_line(number, line)
        if not self.requests and not self.errors:
            self.errors.append(LineError(code="empty_file", message="the file has no lines"))

    def _read_line(self, number: int, line: bytes) -> None:
        try:
            self._add(number, _line.decode(line))
        except InvalidField as error:
            problem = LineError(code="invalid_line", message=str(error), line=number)
            problem.param = error.field
            self.errors.append(problem)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            message = f"the line is not a request: {str(error)[:200]}"
            self.errors.append(LineError(code="invalid_json_line", message=message, line=number))

    def _add(self, number: int, line: _Line) -> None:
        batch = self._batch
        for problem in _problems(line, batch.endpoint, self._ids):
            raise problem
        self._ids.add(line.custom_id)
        named = f"batch_req_{batch.id.removeprefix('batch_')}_{number}"
        self.requests.append(
            BackgroundRequest(
                id=named,
                team=batch.team,
                token_id=self._token_id,
                request_id=named,
                kind=KIND,
                path=line.url,
                body=bytes(line.body),
                batch=batch.id,
                label=line.custom_id,
                rows=row_count(line.url, _fields.decode(line.body)),
                created=batch.created,
            )
        )


def _problems(line: _Line, endpoint: str, known: set[str]) -> Iterator[InvalidField]:
    """Yield what is wrong with a line."""
    if not 1 <= len(line.custom_id) <= LONGEST_ID:
        yield InvalidField("custom_id", f"needs 1 to {LONGEST_ID} characters")
    if line.custom_id in known:
        yield InvalidField("custom_id", f"{line.custom_id[:80]!r} was used by a line before")
    if line.method != "POST":
        yield InvalidField("method", f"is {line.method[:20]!r}; only POST is possible")
    if line.url != endpoint:
        yield InvalidField("url", f"is {line.url[:80]!r}; the endpoint of the batch is {endpoint}")
    body = _body.decode(line.body)
    for name in ("stream", "background"):
        if getattr(body, name):
            yield InvalidField(f"body.{name}", "has no place in a batch; leave it out")
