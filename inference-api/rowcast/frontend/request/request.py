"""One request as a value: all that a dialect reads of it, whether it came by HTTP or otherwise.

    app.py             makes one from each HTTP request, before anything of the body is read
    again(record)      the same request sent earlier, for a reader who resumes its stream
    in_background(b)   a background request, for its worker or a reader
    Request(...)       made by hand, by callers in this process

The body is read when it is first needed. Knows no web framework.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Self

from werkzeug.datastructures import Headers

from rowcast.frontend.request.body import parse_object
from rowcast.frontend.request.identity import Caller, valid_or_fresh_id
from rowcast.frontend.request.origin import KEY_HEADER, Origin, fresh_id, key_of
from rowcast.journal.background.record import BackgroundRequest
from rowcast.journal.record import Record
from rowcast_telemetry.spans import Span

LARGE_BODY = 1 << 16
PARSING_PAUSE = 0.001  # seconds in which the event loop serves all connections

Watch = Callable[[Callable[[], None]], Callable[[], None]]


class Body:
    """The body of one request: read when it is first needed, and once."""

    def __init__(
        self,
        read: Callable[[], bytes],
        parsing: AbstractContextManager[object] | None = None,
    ) -> None:
        """`parsing`: the lock held while a large body is parsed, so that it is one at a time."""
        self._read = read
        self._content: bytes | None = None
        self._parsing = parsing or nullcontext()

    def read(self) -> bytes:
        """Return the bytes."""
        if self._content is None:
            self._content = self._read()
        return self._content

    @property
    def received(self) -> bytes:
        """The bytes, if they have been read; otherwise none."""
        return self._content or b""

    def json(self, *, plain: bool = False) -> dict[str, object]:
        """Return the JSON object. `plain`: with JSON's own numbers."""
        body = self.read()
        if len(body) < LARGE_BODY:
            return parse_object(body, plain=plain)
        with self._parsing:
            time.sleep(PARSING_PAUSE)  # for all other requests
            return parse_object(body, plain=plain)

    def instead(self, content: bytes) -> "Body":
        """Return a body of these bytes, parsed under the same lock."""
        return Body(lambda: content, self._parsing)


def stays(gone: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG001
    """Watch a client that does not leave, such as one in this process."""
    return lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request."""

    path: str
    body: Body
    method: str = "POST"
    headers: Headers = field(default_factory=Headers)
    query: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)  # of the variable parts of the path
    id: str = field(default_factory=lambda: valid_or_fresh_id(""))
    began: float = field(default_factory=time.monotonic)
    caller: Caller = field(default_factory=Caller)
    watch: Watch = stays  # calls back once when the client leaves; returns what ends the watch
    record: Record | None = None  # of the same request, sent earlier
    build: str = ""  # the build that must answer, as records name it; "": the current one
    start: str = ""  # how much of the reply the reader has, in the format of event ids
    first_token_id: str | None = None  # of the token that sent it; None: the caller's own
    stream: str = ""  # the id of its stream, if that was sent before there is a reply
    background: bool = False  # its reply is computed though nobody reads it
    span: Span | None = None  # of its trace; None: it is not traced
    # Headers of the response to this request; an error has them, too.
    response_headers: dict[str, str] = field(default_factory=dict)
    # The claims on models, which end once the response was sent.
    claims: ExitStack = field(default_factory=ExitStack)

    @property
    def has_key(self) -> bool:
        """True if it has an idempotency key: its reply may already be recorded."""
        return KEY_HEADER in self.headers

    def origin(self) -> Origin:
        """Return the origin of a reply to this request; call it once per reply."""
        if self.record is not None:
            return Origin.recorded(self.record, self.start)
        key = key_of(self.headers)
        token_id = self.caller.token_id if self.first_token_id is None else self.first_token_id
        team, body = self.caller.team, self.body.read()
        return Origin.fresh(
            self.path, body, key, team, self.start, token_id=token_id, stream=self.stream
        )

    def fixed_stream(self) -> str:
        """Return the id of its stream before there is a reply; "" if that is not known yet.

        With an idempotency key, it may be that of an earlier request.
        """
        if self.record is not None:
            return self.record.id
        return "" if self.has_key or not self.caller.keeps else self.stream or fresh_id()

    def again(self, record: Record, start: str) -> Self:
        """Return the recorded request, sent again by this one's client at this one's time."""
        return replace(
            self,
            method="POST",
            path=record.path,
            body=self.body.instead(record.body),
            record=record,
            start=start,
        )

    def in_background(self, accepted: BackgroundRequest, start: str = "") -> Self:
        """Return a background request, sent by this one's client at this one's time.

        The first one to send it begins its stream, and the others join that.
        """
        headers = Headers(self.headers)
        headers[KEY_HEADER] = accepted.key
        return replace(
            self,
            method="POST",
            path=accepted.path,
            headers=headers,
            body=self.body.instead(accepted.body),
            start=start,
            first_token_id=accepted.token_id,
            background=True,
        )

    def close(self) -> None:
        """End the request's claims. Called once its response was sent, or has failed."""
        self.claims.close()

    @contextmanager
    def watching(self, gone: Callable[[], None]) -> Iterator[None]:
        """Call `gone` once if the client leaves within this block."""
        unwatch = self.watch(gone)
        try:
            yield
        finally:
            unwatch()
