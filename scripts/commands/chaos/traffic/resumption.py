"""Answers that were cut, read to their end: by stream id, by idempotency key, or by a new request.

headers arrived    GET /v1/streams/<id> from the reader's position
only a key         the request again, which joins the first one
neither            the request again: nothing was promised yet

What has a stream id is then read once more, from its beginning: it shows the same number of cached
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.chaos.traffic.content import cached, position, resumable
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
    again: Request | None = None  # for the whole answer, from its beginning

    @classmethod
    def of(cls, reading: Reading) -> Cut:
        """Return the cut of a reading that has ended too early."""
        request = reading.request
        stream = reading.headers.get(STREAM)
        if reading.status != 200 or stream is None:
            return cls(request, b"", request)
        received = resumable(request.form, bytes(reading.body))
        rest = request.rest(stream, position(request.form, received))
        return cls(request, received, rest, request.rest(stream, ""))


def resume_all(port: int, cuts: Sequence[Cut], truth: Truth) -> list[str]:
    """Read all of them to their end; return what was wrong with them."""
    rests = answers(port, [cut.next for cut in cuts])
    faults = [_fault(cut, rest, truth) for cut, rest in zip(cuts, rests, strict=True)]
    known = [(cut, rest) for cut, rest in zip(cuts, rests, strict=True) if cut.again]
    again = answers(port, [cut.again for cut, _ in known if cut.again])
    faults += [_other_count(*each, whole) for each, whole in zip(known, again, strict=True)]
    return [fault for fault in faults if fault]


def _other_count(cut: Cut, rest: Reading, again: Reading) -> str | None:
    """Return what is wrong if two readings of one answer show other numbers of cached tokens."""
    if not again.whole:
        return f"read again: {description(again)}"
    form = cut.request.form
    first, second = cached(form, cut.received + bytes(rest.body)), cached(form, bytes(again.body))
    same = not rest.whole or first == second
    return None if same else f"{cut.request.kind}: cached tokens {first}, read again {second}"


def _fault(cut: Cut, rest: Reading, truth: Truth) -> str | None:
    if not rest.whole:
        return f"after {len(cut.received)} bytes: {description(rest)}"
    fault = fault_in(cut.request, cut.received + bytes(rest.body), truth)
    return fault and f"resumed after {len(cut.received)} bytes: {fault}"
