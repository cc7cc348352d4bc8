"""Ends a process when its parent ends."""

import ctypes
import os
import signal
import sys


def die_with_parent(how: signal.Signals, parent: int) -> None:
    """Ask the kernel to send `how` when the parent ends; exit at once if it already has."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(how))
    if os.getppid() != parent:
        sys.exit(0)
