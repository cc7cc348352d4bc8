"""The wall clock is moved by an hour, forward and back, while streams are read, cut and resumed.

A small library, built with `cc` and preloaded into the server, adds to the wall clock the offset in
a mapped file; the monotonic clock is unchanged, as when a machine's clock is set.
"""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd
from commands.chaos.traffic.flow import Flow, Truth, begin_all, undisturbed
from commands.chaos.traffic.resumption import Cut, resume_all
from local.server import Server, ServerError

SOURCE = Path(__file__).with_name("clock.c")
HOUR = 3600
JOURNAL_SECONDS = 3 * HOUR  # longer than the clock is moved, so that no stream expires
CUT = 8


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    clock = _Clock(context.folder)
    with context.server(
        JOURNAL=context.folder / "journal.db",
        JOURNAL_SECONDS=JOURNAL_SECONDS,
        LD_PRELOAD=clock.library,
        CHAOS_CLOCK=clock.offset,
    ) as server:
        truth = undisturbed(server, kinds.mixed(dice, 48, 60, 160))
        flow = Flow(server.port, truth)
        for number in range(1, size + 1):
            for moved in (HOUR, 0):
                flow.run_for(0.5)
                cuts = _cut(server, truth, dice)
                clock.move(moved)
                flow.run_for(1.0)
                found.faults += resume_all(server.port, cuts, truth)
            context.progress(f"moved {number} of {size} times")
        flow.finish()
        found.expect(server.ready(), "it is not ready any more")
    found.faults += flow.faults
    found.figures.append(
        f"an hour forward and back {size} times; {flow.summary}; {2 * size * CUT} cut and "
        f"resumed, {len(found.faults)} faults"
    )
    return found


def _cut(server: Server, truth: Truth, dice: random.Random) -> Sequence[Cut]:
    """Begin streams whose clients disconnect halfway."""
    streamed = [each for each in truth if each.form != "json"]
    with contextlib.closing(Crowd(server.port)) as crowd:
        readings = begin_all(crowd, dice.sample(streamed, CUT))
    return [Cut.of(each) for each in readings]


class _Clock:
    """The server's wall clock, which can be moved."""

    def __init__(self, folder: Path) -> None:
        self.offset, self.library = folder / "offset", folder / "clock.so"
        self.move(0)
        build = ("cc", "-shared", "-fPIC", "-O2", "-o", str(self.library), str(SOURCE))
        done = subprocess.run(build, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"the clock's library could not be built: {done.stderr[:300]}")

    def move(self, seconds: int) -> None:
        """Move the clock to this offset from the true time."""
        with self.offset.open("r+b" if self.offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))


CLAIM = Claim(
    "clock",
    "The wall clock is moved an hour, forward and back: streams continue and are resumable, "
    "no wrong byte",
    Sizes(test=1, ci=1, full=20),
    "times",
    _run,
)
