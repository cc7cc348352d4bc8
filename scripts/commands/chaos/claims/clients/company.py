"""The same request alone, and among 31 others."""

from __future__ import annotations

import random

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import WIDTH, answers, fault_of, undisturbed

AT_ONCE = 50


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0) as server:
        for done in range(0, size, AT_ONCE):
            requests = kinds.mixed(dice, min(AT_ONCE, size - done), 20, 160)
            alone = undisturbed(server, requests, width=1)
            dice.shuffle(requests)
            others = [*requests, *requests[: WIDTH - 1]]  # so that the last ones have company too
            faults = [fault_of(each, alone) for each in answers(server.port, others)]
            found.faults += filter(None, faults)
            context.progress(f"{done + len(requests)} of {size} prompts")
    found.figures.append(f"{size} prompts, {len(found.faults)} differed")
    return found


CLAIM = Claim(
    "company",
    "The same request alone and among 31 others, all kinds: equal bytes",
    Sizes(test=48, ci=100, full=2000),
    "prompts",
    _run,
)
