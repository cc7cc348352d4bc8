"""Processes of this machine: families, command lines, memory; one that ended has none."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    return []


def lives(process: psutil.Process) -> bool:
    """True if the process runs and is not a zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def command_line(process: psutil.Process) -> str:
    """Return its command line; "" if it has ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def private_bytes(process: psutil.Process) -> int:
    """Return its share of the memory without file mappings; shared pages are divided."""
    with contextlib.suppress(OSError):  # it may have just ended
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        sizes = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        return sum(int(sizes[name].split()[0]) << 10 for name in ("Pss_Anon", "Pss_Shmem"))
    return 0
