"""One process's numbers in shared memory.

    owner, length | keys: a line of JSON each, only ever appended | numbers, 8 bytes each

A key is a family, its labels and how many numbers it has; its first number follows those of the key
before. One process writes at a time, any may read: a key counts once the length includes it.
"""

import json
import os
from dataclasses import dataclass

from rowcast_metrics.family import Labels

HEAD_BYTES = 4096
KEY_BYTES = 1 << 19
NUMBERS = 1 << 16
SIZE = HEAD_BYTES + KEY_BYTES + 8 * NUMBERS
_OWNER, _LENGTH = 0, 1  # places in the head


@dataclass(frozen=True, slots=True)
class Entry:
    """One series: where its numbers are."""

    family: str
    labels: Labels
    at: int
    count: int
    of_owner: bool  # a gauge, which describes the process itself


class Segment:
    """A part of the shared memory."""

    def __init__(self, memory: memoryview) -> None:
        self._head = memory[:HEAD_BYTES].cast("Q")
        self._keys = memory[HEAD_BYTES : HEAD_BYTES + KEY_BYTES]
        self.numbers = memory[HEAD_BYTES + KEY_BYTES :].cast("d")
        self._entries: list[Entry] = []
        self._read = 0  # bytes of the keys
        self._taken = 0  # numbers

    def own(self) -> None:
        """Make this process the owner: its counters go on, its gauges begin at 0."""
        self._head[_OWNER] = os.getpid()
        for each in self.entries():
            if each.of_owner:
                self.numbers[each.at] = 0.0

    @property
    def has_owner(self) -> bool:
        """True if the process that last owned it is alive."""
        if not (owner := int(self._head[_OWNER])):
            return False
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def entries(self) -> list[Entry]:
        """Return all series that are in it now."""
        length = int(self._head[_LENGTH])
        for line in bytes(self._keys[self._read : length]).splitlines():
            family, labels, count, of_owner = json.loads(line)
            self._entries.append(Entry(family, tuple(labels), self._taken, count, of_owner))
            self._taken += count
        self._read = length
        return self._entries

    def add(self, family: str, labels: Labels, count: int, *, of_owner: bool) -> Entry | None:
        """Add a series; return None if there is no room."""
        line = json.dumps([family, labels, count, of_owner]).encode() + b"\n"
        end = self._read + len(line)
        if end > KEY_BYTES or self._taken + count > NUMBERS:
            return None
        self._keys[self._read : end] = line
        self._head[_LENGTH] = end
        return self.entries()[-1]
