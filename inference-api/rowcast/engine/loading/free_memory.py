"""How much memory is free on this machine and in its container; sizes, as messages show them."""

import sys
from pathlib import Path

MEBIBYTE = 1 << 20


def free_here() -> int:
    """Return the bytes that processes here may still allocate."""
    return min(_machine_free(), _container_free())


def _machine_free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
    return int(kibibytes) * 1024


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
