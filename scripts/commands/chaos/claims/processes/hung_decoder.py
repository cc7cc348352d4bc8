"""The decoder is stopped (SIGSTOP): it appears alive, but does nothing."""

from __future__ import annotations

import random
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import PATIENCE, Flow, undisturbed
from local.server import ServerError

STALL_SECONDS = 3


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(STALL_SECONDS=STALL_SECONDS) as server:
        flow = Flow(server.port, undisturbed(server, kinds.mixed(dice, 48, 60, 160)))
        for number in range(1, size + 1):
            flow.run_for(dice.uniform(0.3, 2.0))
            hung = server.current_backend()
            hung.suspend()
            limit = perf_counter() + PATIENCE
            while hung.is_running():
                flow.turn()
                if perf_counter() > limit:
                    raise ServerError("the hung decoder was not replaced")
            context.progress(f"{number} of {size} decoders hung")
        flow.run_for(1.0)
        flow.finish()
    found.faults += flow.faults
    found.figures.append(f"{size} replaced; {flow.summary}")
    return found


CLAIM = Claim(
    "hung-decoder",
    "The decoder hangs (SIGSTOP): it is replaced, all streams continue, no wrong byte",
    Sizes(test=1, ci=1, full=20),
    "times",
    _run,
)
