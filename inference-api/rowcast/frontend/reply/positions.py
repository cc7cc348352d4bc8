"""Positions in a stream of events, as encoded in their ids: how much the reader has.

How much text one event holds depends on timing, so events are not counted. A reply's *mark* is the
number of its tokens whose text was sent, and how far its frame (beginning, end) was sent: a
function of what was sent, not of when. The position is the marks of all replies, and of the frame
around them:

    57            one reply, 57 tokens sent        0b    begun, no token sent yet
    57r           and the text held back           57e   and its end
    58*3.57*2     three replies at 58, two at 57   57e~0 and what ends the stream after it

Several events with one mark are counted: `57e-1`. To clients all of it is opaque, and it consists
of characters that need no escaping in a query.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Self

from rowcast.errors import InvalidField

_MARK = re.compile(r"(?P<tokens>[0-9]{1,9})(?P<stage>[bre]?)(?:-(?P<more>[0-9]{1,4}))?")
_RUN = re.compile(r"(?P<mark>[^*]+)(?:\*(?P<count>[0-9]{1,5}))?")


class Stage(IntEnum):
    """How much of one reply's frame was sent."""

    NOTHING = 0
    BEGUN = 1
    TEXT = 2
    REST = 3  # the text held back until the end of the reply
    ENDED = 4


_LETTERS = ("", "b", "", "r", "e")  # by stage
_STAGES = {_LETTERS[stage]: stage for stage in (Stage.BEGUN, Stage.REST, Stage.ENDED)}


class Mark(NamedTuple):
    """How much of one reply was sent; marks compare in the order of sending."""

    tokens: int = 0
    stage: Stage = Stage.NOTHING
    more: int = 0  # earlier events at the same place

    @classmethod
    def read(cls, text: str) -> "Mark | None":
        found = _MARK.fullmatch(text)
        if found is None:
            return None
        tokens = int(found["tokens"])
        plain = Stage.TEXT if tokens else Stage.NOTHING
        return cls(tokens, _STAGES.get(found["stage"], plain), int(found["more"] or 0))

    def __str__(self) -> str:
        tokens, stage, more = self
        place = f"{tokens}{_LETTERS[stage]}"
        return f"{place}-{more}" if more else place


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a stream of one or several replies."""

    marks: tuple[Mark, ...]
    frame: int = -1  # the last event after all replies

    @classmethod
    def read(cls, text: str, replies: int) -> Self:
        """Parse a position among `replies` replies. Raises InvalidField if it cannot be one."""
        marks_text, _, frame = text.partition("~")
        marks = _marks(marks_text or "0", replies)
        if marks is None or len(marks) != replies or not (frame.isdigit() or not frame):
            raise InvalidField(
                "from", f"is {text[:80]!r}, which is not the id of an event in this stream"
            )
        return cls(tuple(marks), int(frame[:4]) if frame else -1)

    def __str__(self) -> str:
        return _id(self.marks, [*map(str, self.marks)], self.frame)


def _id(marks: Sequence[Mark], texts: Sequence[str], frame: int) -> str:
    """Return an id of these marks, whose texts are given: to make them takes ten times as long."""
    joined = texts[0] if len(texts) == 1 else _runs(marks, texts)
    return joined if frame < 0 else f"{joined}~{frame}"


def _runs(marks: Sequence[Mark], texts: Sequence[str]) -> str:
    """Return the marks as text; equal ones in a row once, with their number."""
    runs, began = [], 0
    for at, mark in enumerate(marks):
        if mark != marks[began]:
            runs.append(_run(texts[began], at - began))
            began = at
    return ".".join([*runs, _run(texts[began], len(marks) - began)])


def _run(text: str, count: int) -> str:
    return f"{text}*{count}" if count > 1 else text


def _marks(text: str, replies: int) -> list[Mark] | None:
    if text == "0":
        return [Mark()] * replies
    marks: list[Mark] = []
    for run in text.split("."):
        found = _RUN.fullmatch(run)
        mark = Mark.read(found["mark"]) if found else None
        if found is None or mark is None or len(marks) > replies:
            return None
        marks += [mark] * min(replies + 1, int(found["count"] or 1))
    return marks


@dataclass(slots=True)
class Cursor:
    """The position of a reader. Sent events move it; events that the reader has are not sent."""

    start: Position
    _sent: list[Mark] = field(init=False)
    _texts: list[str] = field(init=False)  # of these
    _last: list[Mark] = field(init=False)  # of all events, sent or not
    _frame: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self._sent = list(self.start.marks)
        self._texts = [*map(str, self._sent)]
        self._last = [Mark()] * len(self._sent)

    def advance(self, reply: int, tokens: int, stage: Stage) -> bool:
        """Pass the next event, which is at this place; return True if the reader lacks it."""
        last_tokens, last_stage, more = self._last[reply]
        again = last_tokens == tokens and last_stage is stage
        mark = self._last[reply] = Mark(tokens, stage, more + 1 if again else 0)
        if mark <= self.start.marks[reply]:
            return False
        self._sent[reply], self._texts[reply] = mark, str(mark)
        return True

    def advance_frame(self) -> bool:
        """Pass the next event that follows all replies; return True if the reader lacks it."""
        self._frame += 1
        return self._frame > self.start.frame

    def id(self) -> str:
        """Return the id of the last event passed."""
        return _id(self._sent, self._texts, max(self._frame, self.start.frame))
