"""The scripted model's vectors: made up, but functions of the prompt like any model's.

After tokens whose CRC is c, the state is 64 numbers: those of SHAKE-128 of c as four bytes, two
bytes each, signed, little-endian, divided by 32768. A vector is the state after the last token, or
the mean of the states after each, or the logits of some tokens: their log-probabilities.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import shake_128
from zlib import crc32

from rowcast.engine.engine import Drawn, DrawnVector, Feed, Seating

DIMENSIONS = 64
_STATE, _TOKEN = struct.Struct("<64h"), struct.Struct("<I")
_ONE = 32768

Logit = Callable[[int, int], float]  # after tokens with this CRC, of this token
Crc = Callable[[int], int]  # of the tokens that a row has been fed


def state(crc: int) -> tuple[int, ...]:
    """Return the state after tokens with this CRC, in units of 1/32768."""
    return _STATE.unpack(shake_128(_TOKEN.pack(crc)).digest(_STATE.size))


@dataclass(slots=True)
class _Pool:
    """One row, and the sum of its states so far if its vector is their mean."""

    seating: Seating
    crc: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * DIMENSIONS)

    def take(self, feed: Feed, crc: Crc, logit: Logit) -> Drawn | None:
        """Add a feed; return the vector once the prompt is complete."""
        if self.seating.pooling == "mean":
            self._add(feed.tokens)
        if feed.position + len(feed.tokens) < self.seating.prompt_length:
            return None
        numbers = self._numbers(crc(feed.row), logit)
        vector = struct.pack(f"<{len(numbers)}f", *numbers)
        return DrawnVector(feed.row, (), vector=vector)

    def _add(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self.crc = crc32(_TOKEN.pack(token), self.crc)
            self.sums = [one + more for one, more in zip(self.sums, state(self.crc), strict=True)]

    def _numbers(self, crc: int, logit: Logit) -> list[float]:
        """Return the vector; `crc`: of the whole prompt."""
        if self.seating.pooling == "logits":
            return [logit(crc, token) for token in self.seating.logits]
        if self.seating.pooling == "mean":
            return [each / (_ONE * self.seating.prompt_length) for each in self.sums]
        return [each / _ONE for each in state(crc)]


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
            self._rows[row] = _Pool(seating)

    def leave(self, row: int) -> None:
        self._rows.pop(row, None)

    def drawn(self, feeds: Sequence[Feed], crc: Crc, logit: Logit) -> list[Drawn]:
        """Return the vectors that a step has completed."""
        pooled = [feed for feed in feeds if feed.row in self._rows]
        taken = [self._rows[feed.row].take(feed, crc, logit) for feed in pooled]
        return [each for each in taken if each is not None]
