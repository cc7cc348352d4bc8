"""One request in flight: bytes and times in, an `Outcome` out.

It connects the HTTP reader to the dialect's reader and decides how the request ended. It knows no
sockets: the driver passes bytes with their times.
"""

from __future__ import annotations

from commands.bench.dialects.dialect import Reader
from commands.bench.load.outcome import Outcome
from commands.bench.load.requests import Request
from commands.bench.load.target import Target
from http_client.http1 import ResponseReader

MAX_DETAIL = 300


class Exchange:
    """One request and its answer so far."""

    __slots__ = ("_http", "_media_type", "_reader", "outcome", "unsent")

    def __init__(self, request: Request, target: Target, due: float, now: float) -> None:
        self.outcome = Outcome(request.index, due, now, model=target.model_of(request))
        self.unsent = target.message(request)
        self._media_type = target.dialect.media_type
        self._http = ResponseReader()
        self._reader: Reader = target.dialect.reader()
        self._reader.prompt = request.prompt

    @property
    def complete(self) -> bool:
        """True if the answer has ended."""
        return self._http.complete

    @property
    def reusable(self) -> bool:
        """True if the connection may carry another request."""
        return self._http.complete and self._http.keep_alive and not self.unsent

    def feed(self, data: bytes, now: float) -> None:
        """Process what was received at `now`; raises MalformedResponseError."""
        seen = self.outcome
        if seen.first_byte is None:
            seen.first_byte = now
        parts = self._http.feed(data)
        if not parts:
            return
        if self._http.status != 200:
            detail = b"".join(parts).decode("utf-8", errors="replace")
            seen.detail = (seen.detail + detail)[:MAX_DETAIL]
            return
        pieces = self._reader.pieces
        self._reader.feed(parts)
        if self._reader.pieces != pieces:
            if not seen.arrivals:
                seen.received_first = sum(map(len, self._reader.text))
            seen.arrivals.append(now)

    def peer_closed(self) -> str | None:
        """Handle the server's close; return the failure if this is not the answer's proper end."""
        return self._http.close()

    def finish(self, now: float, failure: str | None = None) -> Outcome:
        """Complete the outcome; `failure` is what the connection or HTTP reported."""
        seen, reader = self.outcome, self._reader
        seen.ended = now
        seen.status = self._http.status or None
        seen.text = b"".join(reader.text)
        seen.received, seen.pieces = len(seen.text), reader.pieces
        seen.finish_reason = reader.finish_reason
        seen.prompt_tokens = reader.prompt_tokens
        seen.usage_tokens = reader.completion_tokens
        seen.failure = self._refusal() or failure or reader.close()
        return seen

    def _refusal(self) -> str | None:
        status = self._http.status
        if status not in {0, 200}:
            return f"status {status}"
        media_type = self._http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if status and media_type != self._media_type:
            return f"content type {media_type or 'missing'}, not {self._media_type}"
        return None
