"""Counts answers by the build that computed them, and everything that is wrong with the others.

An answer must be, whole, that of one build of the model that it was sent to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from commands.chaos.models.builds import RightAnswers
from commands.chaos.traffic.content import content, difference
from commands.chaos.traffic.crowd import Reading
from commands.chaos.traffic.flow import answers, description
from commands.chaos.traffic.request import Request
from commands.chaos.traffic.resumption import Cut

_OF_BUILDS = {"model", "system_fingerprint"}


class Tally:
    """The answers so far."""

    def __init__(self, right: RightAnswers) -> None:
        self.builds = Counter[str]()  # whole answers, by label
        self.failed = self.cut = self.wrong = self.altered = 0
        self.faults: list[str] = []
        self._right = right

    def take(self, reading: Reading) -> tuple[str, ...]:
        """Judge an answer that has ended; return the labels of the builds that it matches."""
        if reading.whole:
            return self.take_body(reading.request.plain(), bytes(reading.body))
        if reading.status == 200:
            self.cut += 1
        else:
            self.failed += 1
        self.faults.append(description(reading))
        return ()

    def take_body(self, request: Request, body: bytes) -> tuple[str, ...]:
        """Judge the bytes of a whole answer; text without a fingerprint may match two builds."""
        got, answers_of = content(request.form, body), self._right.answers
        own = [each.label for each in self._right.builds if each.name == request.model]
        labels = tuple(each for each in own if got == answers_of[each][request])
        if labels:
            self.builds[labels[0]] += 1
        else:
            self._note_fault(request, got)
        return labels

    def resume(self, port: int, cuts: Sequence[Cut]) -> None:
        """Resume the answers that were cut, and judge each as a whole."""
        rests = answers(port, [cut.next for cut in cuts])
        for cut, rest in zip(cuts, rests, strict=True):
            if rest.whole:
                self.take_body(cut.request.plain(), cut.received + bytes(rest.body))
            else:
                self.failed += 1
                self.faults.append(f"after {len(cut.received)} bytes: {description(rest)}")

    @property
    def read(self) -> int:
        """All answers."""
        return self.builds.total() + self.failed + self.cut + self.wrong + self.altered

    @property
    def summary(self) -> str:
        """The counts in words."""
        builds = ", ".join(f"{count} of {label}" for label, count in sorted(self.builds.items()))
        return (
            f"{self.read} answers ({builds}): {self.failed} failed, {self.cut} cut, {self.wrong} "
            f"of the wrong model, {self.altered} altered"
        )

    def _note_fault(self, request: Request, got: object) -> None:
        answers_of = self._right.answers
        if isinstance(got, dict) and "error" in got:
            self.failed += 1
        elif other := [each for each in answers_of if _same(got, answers_of[each][request])]:
            self.wrong += 1
            self.faults.append(f"{request.kind} to {request.model}: it is of {other[0]}")
            return
        else:
            self.altered += 1
        own = next(each.label for each in self._right.builds if each.name == request.model)
        wanted = answers_of[own][request]
        self.faults.append(f"{request.kind} to {request.model}: {difference(wanted, got)}")


def _same(one: object, other: object) -> bool:
    """True if two answers differ at most in the model and build that they name."""
    return _unnamed(one) == _unnamed(other)


def _unnamed(answer: object) -> object:
    if not isinstance(answer, dict):
        return answer
    return {key: value for key, value in answer.items() if key not in _OF_BUILDS}
