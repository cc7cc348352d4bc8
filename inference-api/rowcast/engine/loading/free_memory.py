"""How much memory is free on this machine and in its container; sizes, as messages show them."""

import sys
from pathlib import Path

MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30


def free_here() -> int:
    """Return the bytes that processes here may still allocate."""
    return min(_machine_free(), _container_free())


def prefix_memory(chosen: int | None, cache: int) -> int:
    """Return the bytes of the store of prefixes beside a KV cache of `cache` bytes.

    By default it is as large as the cache, but at most 1 GiB and 5 % of the memory.
    """
    return min(cache, GIBIBYTE, _all_here() // 20) if chosen is None else chosen


def _machine_free() -> int:
    return _of_machine("MemAvailable")


def _of_machine(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith(name))
    return int(kibibytes) * 1024


def _all_here(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory of this machine, or its container's limit."""
    try:
        limit = int((group / "memory.max").read_text())
    except (OSError, ValueError):  # there is no container, or no limit ("max")
        limit = sys.maxsize
    return min(_of_machine("MemTotal"), limit)


def _container_free(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return what a container's own limit leaves, counting cached files as free."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        words = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return sys.maxsize
    if limit == "max":
        return sys.maxsize
    return int(limit) - used + int(words.get("inactive_file", 0)) + int(words.get("active_file", 0))


def mebibytes(size: float) -> str:
    """Return a number of bytes as messages show it."""
    return f"{size / MEBIBYTE:,.0f} MiB"
