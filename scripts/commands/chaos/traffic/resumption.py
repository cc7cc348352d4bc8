"""Answers that were cut, read to their end: by stream id, by idempotency key, or by a new request.

headers arrived    GET /v1/streams/<id> from the reader's position
only a key         the request again, which joins the first one
neither            the request again: nothing was promised yet
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.chaos.traffic.content import kept, place
from commands.chaos.traffic.crowd import Reading
from commands.chaos.traffic.flow import Truth, answers, described, fault_in
from commands.chaos.traffic.request import Asked

STREAM = "x-stream-id"


@dataclass(frozen=True, slots=True)
class Cut:
    """What one reader has of a cut answer, and its next request."""

    asked: Asked
    had: bytes
    next: Asked

    @classmethod
    def of(cls, reading: Reading) -> Cut:
        """Return the cut of a reading that has ended too early."""
        asked = reading.asked
        stream = reading.headers.get(STREAM)
        if reading.status != 200 or stream is None:
            return cls(asked, b"", asked)
        had = kept(asked.form, bytes(reading.body))
        return cls(asked, had, asked.rest(stream, place(asked.form, had)))


def read_on(port: int, cuts: Sequence[Cut], truth: Truth) -> list[str]:
    """Read all of them to their end; return what was wrong with them."""
    rests = answers(port, [cut.next for cut in cuts])
    faults = [_fault(cut, rest, truth) for cut, rest in zip(cuts, rests, strict=True)]
    return [fault for fault in faults if fault]


def _fault(cut: Cut, rest: Reading, truth: Truth) -> str | None:
    if not rest.whole:
        return f"after {len(cut.had)} bytes: {described(rest)}"
    fault = fault_in(cut.asked, cut.had + bytes(rest.body), truth)
    return fault and f"read on after {len(cut.had)} bytes: {fault}"
