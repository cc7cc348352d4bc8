"""The memory that a master shares with its workers: names of all, and a segment for each.

    memory = Memory.create(segments)        the master, before its first worker
    memory.allot(taken)                     a segment that no living worker has
    memory.register(name, most)             one of the names, which are only ever added
    memory.handover(segment), from_handover(text)    how a worker gets it, over a variable

It is a file without a name, which ends with its processes. Only forks of the master have it.
"""

import contextlib
import fcntl
import json
import mmap
import os
import tempfile
from collections.abc import Iterable
from typing import Self

from rowcast_metrics.segment import SIZE, Segment

NAMES_BYTES = 1 << 16
SPARE = 16  # segments of workers that end while their successors serve
PRIVATE = -1  # a worker without a segment of the shared memory


def segments_for(workers: int) -> int:
    """Return how many segments a program with `workers` workers needs, also while it reloads."""
    return 2 * workers + SPARE


class Memory:
    """Shared memory, as one process sees it."""

    def __init__(self, file: int) -> None:
        self.file = file
        whole = memoryview(mmap.mmap(file, os.fstat(file).st_size))
        self._names = whole[:NAMES_BYTES]
        self.segments = tuple(
            Segment(whole[at : at + SIZE]) for at in range(NAMES_BYTES, len(whole), SIZE)
        )

    @classmethod
    def create(cls, segments: int) -> Self:
        """Create new memory. Pages that are never written take none."""
        file = _unnamed_file()
        os.ftruncate(file, NAMES_BYTES + segments * SIZE)
        return cls(file)

    def allot(self, taken: Iterable[int]) -> int:
        """Return the first segment that is not taken; PRIVATE if there is none."""
        return next(iter(sorted(set(range(len(self.segments))) - set(taken))), PRIVATE)

    def segment(self, number: int) -> Segment:
        """Return a segment; for PRIVATE one that no other process sees."""
        return self.segments[number] if number != PRIVATE else type(self).create(1).segments[0]

    def handover(self, segment: int) -> str:
        return f"{self.file}:{segment}"

    def register(self, name: str, most: int) -> bool:
        """Add a name if there are fewer than `most`; return whether it is one of the first `most`.

        Never waits: returns False, too, while another process adds a name.
        """
        line = json.dumps(name).encode() + b"\n"  # without line breaks, whatever the name has
        known = self._known()
        if line not in known and len(known) < most:
            with contextlib.suppress(OSError):  # the lock is taken
                known = self._add(line, most)
        return line in known[:most]

    def _add(self, line: bytes, most: int) -> list[bytes]:
        """Add a name if there is room; return all. Raises OSError if another process adds one."""
        fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            known = self._known()
            end = sum(map(len, known))
            if line not in known and len(known) < most and end + len(line) < NAMES_BYTES:
                self._names[end : end + len(line)] = line
            return self._known()
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN)

    def _known(self) -> list[bytes]:
        return bytes(self._names).partition(b"\0")[0].splitlines(keepends=True)


def from_handover(text: str) -> tuple[Memory, Segment]:
    """Return the memory that a master handed over, and this worker's segment of it."""
    file, _, number = text.partition(":")
    memory = Memory(int(file))
    return memory, memory.segment(int(number))


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rowcast-metrics")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
