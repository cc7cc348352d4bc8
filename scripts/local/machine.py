"""The measuring machine: its facts for the report, and its limit of open files."""

from __future__ import annotations

import os
import platform
import resource

SPARE_FILES = 64


def facts() -> dict[str, object]:
    """Return what a reader must know to judge the figures."""
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
        "processor": _processor(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def allow_files(count: int) -> str | None:
    """Raise the soft limit as far as possible; explain if `count` connections do not fit."""
    wanted = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return None
    return f"{count} connections need {wanted} open files; the hard limit here is {hard}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            named = (line for line in lines if line.startswith("model name"))
            return next(named, "").partition(":")[2].strip() or platform.processor()
    except OSError:
        return platform.processor()
