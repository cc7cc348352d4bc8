"""Names a process for lists of processes: all forks have the same command line."""

import ctypes
import sys

LONGEST = 15  # characters that the kernel stores


def name_process(name: str) -> None:
    """Set the name that the kernel shows for this process."""
    if sys.platform == "linux":
        pr_set_name = 15
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_name, name.encode()[:LONGEST])
