"""The processes of a server: their roles, and the memory that they hold together.

Helpers may end and be replaced, by design. Every other process that ends was killed or crashed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil

from local.processes import private_bytes

HELPER = "helper"
_WORDS = {
    "proxy": "proxy/proxy.py",
    "journal": "rowcast.journal.service",
    HELPER: "rowcast.offload",
    "supervisor": "rowcast.launch",
}


def named(master: int, processes: Iterable[psutil.Process]) -> dict[int, str]:
    """Return the live processes by id, with their roles. `master`: gunicorn's first process."""
    found = {}
    for each in processes:
        with contextlib.suppress(psutil.Error):
            if each.status() != psutil.STATUS_ZOMBIE:
                found[each.pid] = _part(each, master)
    return found


def _part(process: psutil.Process, master: int) -> str:
    line, parent = " ".join(process.cmdline()), process.ppid()
    if process.pid == master:
        return "master"
    for name, word in _WORDS.items():
        if word in line:
            return _fork(parent, master) if name == "supervisor" else name
    return "worker" if parent == master else HELPER


def _fork(parent: int, master: int) -> str:
    """Return the role of a supervisor or of its forks, which share its command line."""
    if parent == master:
        return "supervisor"
    return "launcher" if psutil.Process(parent).ppid() == master else "backend"


def memory(processes: Iterable[psutil.Process]) -> int:
    """Return their memory without file mappings, in bytes; shared pages are divided."""
    return sum(map(private_bytes, processes))


def ended(before: dict[int, str], after: dict[int, str]) -> list[str]:
    """Return the roles of the processes that are gone."""
    return [name for pid, name in before.items() if pid not in after]
