"""The process that helpers are forked from: everything imported, tokenizer and template loaded.

    python -m rowcast.offload.fork_server SECONDS MEMORY

Its standard input is a socket. Each message on it carries one descriptor, the helper's end of a
socket pair; this process forks a helper that serves it, within milliseconds. Settings come from the
environment. It ends with the frontend, at EOF, and its helpers end with it.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from rowcast.errors import RowcastError
from rowcast.offload.limits import Limits
from rowcast.offload.loading import load_tools
from rowcast.offload.tasks import Tools
from rowcast.offload.worker import apply, memory_limited, serve
from rowcast.parent_death import die_with_parent
from rowcast.settings import read_settings


def run(control: socket.socket, tools: Tools, limits: Limits) -> None:
    """Fork a helper for every descriptor that arrives."""
    if _ends_well(tools.chat.compile, limits):
        with memory_limited(limits):  # constants that are too large are left to rendering
            tools.chat.compile()  # once, for all helpers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # helpers are reaped by the kernel
    gc.collect()
    gc.freeze()  # a collection would write to shared pages, and so copy them
    parent = os.getpid()
    while (received := socket.recv_fds(control, 1, 1))[0]:
        link = _blocking(received[1][0])
        if os.fork() == 0:
            control.close()
            _become_helper(link, tools, limits, parent)
        link.close()


def _ends_well(task: Callable[[], None], limits: Limits) -> bool:
    """Return whether a task stays within the limits, by trying it in a forked process."""
    trial = os.fork()
    if trial == 0:
        with suppress(Exception):
            apply(limits)
            signal.setitimer(signal.ITIMER_PROF, limits.seconds)
            task()
            os._exit(0)
        os._exit(1)
    return os.waitpid(trial, 0)[1] == 0


def _become_helper(link: socket.socket, tools: Tools, limits: Limits, parent: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent(signal.SIGKILL, parent)
    with suppress(OSError):  # the frontend has gone
        serve(link, tools, limits)
    os._exit(0)  # this process must not run the parent's cleanup


def _blocking(descriptor: int) -> socket.socket:
    """Return the socket as a blocking one: its sender's sockets, and so their copies, are not."""
    made = socket.socket(fileno=descriptor)
    made.setblocking(True)
    return made


def main(arguments: Sequence[str]) -> int:
    """Serve until the frontend is gone."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # only the frontend's end counts
        signal.signal(ignored, signal.SIG_IGN)
    seconds, memory = arguments
    try:
        tools = load_tools(read_settings())
    except (RowcastError, OSError, ValueError) as error:
        sys.stderr.write(f"rowcast: helpers cannot start: {error}\n")
        return 2
    control = _blocking(sys.stdin.fileno())
    run(control, tools, Limits(float(seconds), int(memory)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
