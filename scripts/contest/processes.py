"""What a tree of processes takes of the machine: memory and CPU time, as Linux tells it.

In: the first process's id. Out: megabytes (PSS shares what several map; RSS counts it for each),
seconds, and who belongs to the tree. Processes that vanish while they are read count as nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KB_PER_MB = 1000 * 1000 / 1024
# Fields of /proc/PID/stat, counted after the name, which may hold anything.
STATE, PARENT, USER, SYSTEM, START = 0, 1, 11, 12, 19


@dataclass(frozen=True, slots=True)
class Memory:
    """Held at one moment."""

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True, slots=True)
class Known:
    """One process: an id alone may come to mean another one."""

    pid: int
    start: str

    @property
    def lives(self) -> bool:
        """Whether this very process still runs."""
        fields = _stat(self.pid)
        return bool(fields) and fields[START] == self.start and fields[STATE] != "Z"


def known(first: int) -> set[Known]:
    """A process and all that descend from it."""
    return {Known(pid, fields[START]) for pid in _tree(first) if (fields := _stat(pid))}


def memory(first: int) -> Memory:
    """What the tree holds now."""
    sizes = [_sizes(pid) for pid in _tree(first)]
    rss, pss = (sum(each.get(name, 0) for each in sizes) for name in ("Rss", "Pss"))
    return Memory(rss / KB_PER_MB, pss / KB_PER_MB)


def cpu_seconds(first: int) -> float:
    """What the tree's living processes have computed."""
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
    """The fields after the name; none when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _sizes(pid: int) -> dict[str, int]:
    """Kilobytes by name."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    split = (line.split() for line in lines)
    return {fields[0].rstrip(":"): int(fields[1]) for fields in split if len(fields) == 3}
