"""Answers that were cut, read to their end: by stream id, by idempotency key, or by a new request.

headers arrived    GET /v1/streams/<id> from the reader's position
only a key         the request again, which joins the first one
neither            the request again: nothing was promised yet
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.chaos.traffic.content import position, resumable
from commands.chaos.traffic.crowd import Reading
from commands.chaos.traffic.flow import Truth, answers, description, fault_in
from commands.chaos.traffic.request import Request

STREAM = "x-stream-id"


@dataclass(frozen=True, slots=True)
class Cut:
    """What one reader has of a cut answer, and its next request."""

    request: Request
    received: bytes
    next: Request

    @classmethod
    def of(cls, reading: Reading) -> Cut:
        """Return the cut of a reading that has ended too early."""
        request = reading.request
        stream = reading.headers.get(STREAM)
        if reading.status != 200 or stream is None:
            return cls(request, b"", request)
        received = resumable(request.form, bytes(reading.body))
        return cls(request, received, request.rest(stream, position(request.form, received)))


def resume_all(port: int, cuts: Sequence[Cut], truth: Truth) -> list[str]:
    """Read all of them to their end; return what was wrong with them."""
    rests = answers(port, [cut.next for cut in cuts])
    faults = [_fault(cut, rest, truth) for cut, rest in zip(cuts, rests, strict=True)]
    return [fault for fault in faults if fault]


def _fault(cut: Cut, rest: Reading, truth: Truth) -> str | None:
    if not rest.whole:
        return f"after {len(cut.received)} bytes: {description(rest)}"
    fault = fault_in(cut.request, cut.received + bytes(rest.body), truth)
    return fault and f"resumed after {len(cut.received)} bytes: {fault}"
