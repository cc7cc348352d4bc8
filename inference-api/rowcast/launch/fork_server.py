"""The fork server: imports the libraries that load models once, and forks launchers.

    supervisor ── forks ──▶ fork server ── forks ──▶ launcher
        └── a message for each launcher: build, url, its end of a pipe ──▶

A launcher becomes a child of the supervisor, as if that had forked it: the process between two
forks ends at once, and the supervisor adopts orphans while it waits for one. So the end of the
fork server ends no launcher. The first report of a launcher is its id; a pipe that closes without
one had no launcher.

It has one thread, since a fork has only one, and it computes nothing and opens no model. Linux
only: elsewhere the supervisor forks launchers itself.
"""

import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import msgspec

from rowcast.engines import import_libraries
from rowcast.launch.forked import fork_process, name_process
from rowcast.launch.reports import Reports, Started
from rowcast.models.build import Build
from rowcast.parent_death import die_with_parent

_log = logging.getLogger("rowcast.launch")

AVAILABLE = sys.platform == "linux"
NAME = "fork server"  # with a space, as no model's name has
LONGEST = 1 << 20  # bytes of a message
LOOK_SECONDS = 0.001
BLAS_THREADS = "OPENBLAS_NUM_THREADS"  # numpy's, which would start when it is imported

RunBuild = Callable[[Build, str, Reports], int]


class Order(msgspec.Struct, frozen=True):
    """A launcher that is wanted."""

    build: Build
    url: str


def adopt_orphans(adopt: bool) -> None:
    """Let the kernel make orphaned descendants children of this process, or no longer."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, int(adopt), 0, 0, 0)


class ForkServer:
    """The supervisor's end."""

    def __init__(self, run: RunBuild, close_inherited: Callable[[], None]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        supervisor = os.getpid()

        def become() -> int:
            die_with_parent(signal.SIGKILL, supervisor)
            self._control.close()
            close_inherited()
            name_process(NAME)
            return _serve(theirs, run, supervisor)

        self.pid = fork_process(become)
        theirs.close()

    def order(self, build: Build, url: str, pipe: Connection) -> None:
        """Order a launcher that reports over this pipe. Raises OSError if that is not possible."""
        message = msgspec.msgpack.encode(Order(build, url))
        socket.send_fds(self._control, [message], [pipe.fileno()])

    def kill(self) -> None:
        """Kill it; its launchers go on. It is collected later."""
        os.kill(self.pid, signal.SIGKILL)  # its id is its own until it is collected

    def close(self) -> None:
        """Close this end, here or in a fork."""
        self._control.close()


def _serve(control: socket.socket, run: RunBuild, supervisor: int) -> int:
    """Fork a launcher for each message, until the supervisor closes its end."""
    began = time.monotonic()
    _import()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    _log.info("fork server ready seconds=%.1f memory=%d MiB", time.monotonic() - began, memory)
    while True:
        message, pipes, _, _ = socket.recv_fds(control, LONGEST, 1)
        if not message:
            return 0
        order = msgspec.msgpack.decode(message, type=Order)
        with Connection(pipes[0]) as pipe:
            launch = partial(_fork_launcher, order, pipe, control, run, supervisor)
            os.waitpid(fork_process(launch), 0)


def _import() -> None:
    chosen = os.environ.get(BLAS_THREADS)
    os.environ[BLAS_THREADS] = "1"
    gc.disable()  # collections take a sixth of the time, and find little: what is imported stays
    import_libraries()
    if chosen is None:
        del os.environ[BLAS_THREADS]
    else:
        os.environ[BLAS_THREADS] = chosen
    gc.freeze()  # a collection would write to, and so copy, what the forks share
    gc.enable()


def _fork_launcher(
    order: Order, pipe: Connection, control: socket.socket, run: RunBuild, supervisor: int
) -> int:
    """Fork the launcher, and end, so that it becomes the supervisor's child."""
    middle = os.getpid()

    def become() -> int:
        control.close()
        while os.getppid() == middle:
            time.sleep(LOOK_SECONDS)
        die_with_parent(signal.SIGKILL, supervisor)
        name_process(order.build.name)
        reports = Reports(pipe)
        reports.send(Started(os.getpid()))
        return run(order.build, order.url, reports)

    fork_process(become)
    return 0
