"""The disk under the journal fills up, and is freed again."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd
from commands.chaos.traffic.flow import Flow, Truth, begin_all, undisturbed
from commands.chaos.traffic.resumption import Cut, resume_all
from local.server import Server

DISK_BYTES = 8 << 20
JOURNAL_BYTES = 2 << 20  # so that the journal itself does not fill the disk
CUT = 6


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    folder = context.folder / "disk"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(_disk(folder))
        started = context.server(JOURNAL=folder / "journal.db", JOURNAL_BYTES=JOURNAL_BYTES)
        server = stack.enter_context(started)
        truth = undisturbed(server, kinds.mixed(dice, 48, 60, 160))
        flow = Flow(server.port, truth)
        for number in range(1, size + 1):
            flow.run_for(1.0)
            disk.fill(server)
            _run_until(flow, server, "failing")
            flow.run_for(1.0)
            disk.free(server)
            _run_until(flow, server, "ok")
            found.faults += _cut_and_resume(server, truth, dice)
            context.progress(f"full {number} of {size} times")
        flow.finish()
    found.faults += flow.faults
    found.figures.append(
        f"{disk.name} full {size} times; {flow.summary}; {size * CUT} cut and resumed after it, "
        f"{len(found.faults)} faults"
    )
    return found


def _run_until(flow: Flow, server: Server, state: str) -> None:
    """Continue until health reports this state of the journal."""

    def reported() -> bool:
        flow.run_for(0.2)
        return str(server.health().get("journal")).startswith(state)

    server.wait_until(reported, f"a journal that is {state}")


def _cut_and_resume(server: Server, truth: Truth, dice: random.Random) -> list[str]:
    """Check that streams that begin now can be resumed."""
    streamed = [each for each in truth if each.form != "json"]
    with contextlib.closing(Crowd(server.port)) as crowd:
        readings = begin_all(crowd, dice.sample(streamed, CUT))
        for _ in range(dice.randrange(10)):
            crowd.turn()
    return resume_all(server.port, [Cut.of(each) for each in readings], truth)


class _Disk(Protocol):
    """A disk that can be filled."""

    name: str

    def fill(self, server: Server) -> None:
        """Make further writes fail."""

    def free(self, server: Server) -> None:
        """Make writes succeed again."""


class _SmallFileSystem:
    """A separate small file system."""

    name = "a file system of 8 MiB"

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self, server: Server) -> None:  # noqa: ARG002
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass

    def free(self, server: Server) -> None:  # noqa: ARG002
        self._filler.unlink()


class _FileSizeLimit:
    """Where mounting is not allowed: the journal's process may not extend any file."""

    name = "a file size limit"

    def fill(self, server: Server) -> None:
        self._limit(server, 0)

    def free(self, server: Server) -> None:
        self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, size: int) -> None:
        for journal in server.journals():
            resource.prlimit(journal.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[_Disk]:
    mount = ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    done = subprocess.run(mount, capture_output=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        yield _FileSizeLimit()
        return
    try:
        yield _SmallFileSystem(folder)
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


CLAIM = Claim(
    "full-disk",
    "The disk under the journal is full: streams continue, and are resumable again when it is not",
    Sizes(test=1, ci=1, full=20),
    "times",
    _run,
)
