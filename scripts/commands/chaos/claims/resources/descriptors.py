"""A server with a limit of 256 open files, and 400 idle connections."""

from __future__ import annotations

import contextlib
import random
import socket

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import Flow, undisturbed
from local.ports import LOCAL
from local.server import Server

FILES = 256
IDLE = 400
HELD_SECONDS = 3.0


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    journal = context.folder / "journal.db"
    with context.server(files=FILES, JOURNAL=journal, HEADER_SECONDS=60) as server:
        truth = undisturbed(server, kinds.mixed(dice, 48, 60, 160), width=16)
        flow = Flow(server.port, truth, width=16)
        for number in range(1, size + 1):
            flow.run_for(1.0)
            with contextlib.ExitStack() as idle:
                for _ in range(IDLE):
                    idle.enter_context(_idle(server))
                flow.run_for(HELD_SECONDS)
            flow.run_for(1.0)
            context.progress(f"{number} of {size} crowds")
        flow.finish()
        server.wait_until(server.ready, "readiness")
    found.faults += flow.faults
    found.figures.append(f"{size} crowds of {IDLE} at {FILES} descriptors; {flow.summary}")
    return found


def _idle(server: Server) -> socket.socket:
    """Open a connection that sends nothing."""
    return socket.create_connection((LOCAL, server.port), timeout=30)


CLAIM = Claim(
    "descriptors",
    "Descriptors run out (limit 256, 400 idle connections): streams continue, new ones are served "
    "when descriptors are free again, no wrong byte",
    Sizes(test=1, ci=1, full=20),
    "times",
    _run,
)
