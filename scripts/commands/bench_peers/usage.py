"""The resources of a process tree: memory and CPU time, as Linux reports them.

In: the first process's id. Out: megabytes (PSS divides pages that several processes map; RSS counts
them for each), seconds, and the members of the tree. Processes that vanish while they are read
count as nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KB_PER_MB = 1000 * 1000 / 1024
# Fields of /proc/PID/stat, counted after the name, which may contain anything.
STATE, PARENT, USER, SYSTEM, START = 0, 1, 11, 12, 19


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory held at one moment."""

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True, slots=True)
class Member:
    """One process, with its start time, since ids are reused."""

    pid: int
    start: str

    @property
    def lives(self) -> bool:
        """True if this very process still runs."""
        fields = _stat(self.pid)
        return bool(fields) and fields[START] == self.start and fields[STATE] != "Z"


def members(first: int) -> set[Member]:
    """Return a process and all its descendants."""
    return {Member(pid, fields[START]) for pid in _tree(first) if (fields := _stat(pid))}


def memory(first: int) -> Memory:
    """Return what the tree holds now."""
    sizes = [_sizes(pid) for pid in _tree(first)]
    rss, pss = (sum(each.get(name, 0) for each in sizes) for name in ("Rss", "Pss"))
    return Memory(rss / KB_PER_MB, pss / KB_PER_MB)


def cpu_seconds(first: int) -> float:
    """Return the CPU time of the tree's live processes."""
    stats = [fields for pid in _tree(first) if (fields := _stat(pid))]
    return sum(int(fields[USER]) + int(fields[SYSTEM]) for fields in stats) / TICKS


def _tree(first: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[PARENT]), []).append(int(folder.name))
    found = [first]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields after the name; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _sizes(pid: int) -> dict[str, int]:
    """Return kilobytes by name."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    split = (line.split() for line in lines)
    return {fields[0].rstrip(":"): int(fields[1]) for fields in split if len(fields) == 3}
