"""The scripted model's vectors: made up, but functions of the prompt like any model's.

After tokens whose CRC is c, the state is 64 numbers: those of SHAKE-128 of c as four bytes, two
bytes each, signed, little-endian, divided by 32768. A vector is the state after the last token, or
the mean of the states after each.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import shake_128
from zlib import crc32

from rowcast.engine.engine import Drawn, DrawnVector, Feed, Seating
from rowcast.wire import Pooling

DIMENSIONS = 64
_STATE, _VECTOR, _TOKEN = struct.Struct("<64h"), struct.Struct("<64f"), struct.Struct("<I")
_ONE = 32768


def state(crc: int) -> tuple[int, ...]:
    """Return the state after tokens with this CRC, in units of 1/32768."""
    return _STATE.unpack(shake_128(_TOKEN.pack(crc)).digest(_STATE.size))


@dataclass(slots=True)
class _Pool:
    """The states of one row so far."""

    pooling: Pooling
    length: int  # of the prompt
    fed: int = 0
    crc: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * DIMENSIONS)

    def take(self, feed: Feed) -> Drawn | None:
        """Add a feed; return the vector once the prompt is complete."""
        for token in feed.tokens:
            self._take(token)
        if self.fed < self.length:
            return None
        count = _ONE * (self.length if self.pooling == "mean" else 1)
        return DrawnVector(feed.row, (), vector=_VECTOR.pack(*[each / count for each in self.sums]))

    def _take(self, token: int) -> None:
        self.crc = crc32(_TOKEN.pack(token), self.crc)
        self.fed += 1
        if self.pooling == "mean":
            self.sums = [one + more for one, more in zip(self.sums, state(self.crc), strict=True)]
        elif self.fed == self.length:
            self.sums = list(state(self.crc))


class ScriptedPools:
    """The seated rows whose prompts become vectors."""

    def __init__(self) -> None:
        self._rows: dict[int, _Pool] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def seat(self, row: int, seating: Seating) -> None:
        """Begin with a row's prompt, if it is to become a vector."""
        self.leave(row)
        if seating.pooling is not None:
            self._rows[row] = _Pool(seating.pooling, seating.prompt_length)

    def leave(self, row: int) -> None:
        self._rows.pop(row, None)

    def drawn(self, feeds: Sequence[Feed]) -> list[Drawn]:
        """Return the vectors that a step has completed."""
        taken = [self._rows[feed.row].take(feed) for feed in feeds if feed.row in self._rows]
        return [each for each in taken if each is not None]
