"""What each fork of the supervisor's processes does first and last, and the name of a process.

    fork_process(become) ──▶ the id of a process that calls `become` and exits with its result

A fork has none of the supervisor's signal handlers, and runs none of its code after `become`. All
have the same command line, so each gets a name of its own, for lists of processes.
"""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

_log = logging.getLogger("rowcast.launch")

HANDLED = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)  # by the supervisor
LONGEST = 15  # characters of a name that the kernel stores


def fork_process(become: Callable[[], int]) -> int:
    """Fork a process that calls `become`, and return its id."""
    # Until a fork has handlers of its own, a signal to it would reach the supervisor's pipe.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    pid = os.fork()
    if not pid:
        _run(become)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    return pid


def _run(become: Callable[[], int]) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        status = become()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001  # no code of the supervisor may run in this process
        _log.exception("a fork of the supervisor failed")
    finally:
        logging.shutdown()
        os._exit(status)


def name_process(name: str) -> None:
    """Set the name that the kernel shows for this process."""
    if sys.platform == "linux":
        pr_set_name = 15
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_name, name.encode()[:LONGEST])
