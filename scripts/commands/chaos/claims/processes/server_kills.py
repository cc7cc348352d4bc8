"""Every process of the server is killed, and the server is started again."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import PATIENCE, begin_all, fault_of, undisturbed
from commands.chaos.traffic.request import Request
from commands.chaos.traffic.resumption import Cut, resume_all
from local.server import Server

STREAMS = 32


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, cut = Finding(), 0
    journal = context.folder / "journal.db"
    with context.server(JOURNAL=journal, step=0.02) as server:
        truth = undisturbed(server, kinds.mixed(dice, STREAMS * 2, 80, 200))
        for number in range(1, size + 1):
            requests = [
                request.keyed(f"{number}-{at}") if request.form == "json" else request
                for at, request in enumerate(dice.sample([*truth], STREAMS))
            ]
            readings = _killed(server, requests, dice)
            server.start()
            lost = [Cut.of(each) for each in readings if not each.whole]
            whole = [fault_of(each, truth) for each in readings if each.whole]
            found.faults += [*filter(None, whole), *resume_all(server.port, lost, truth)]
            cut += len(lost)
            context.progress(f"{number} of {size} kills")
    found.figures.append(
        f"{size} kills, {cut} streams cut and resumed to their end, {len(found.faults)} faults"
    )
    found.expect(cut, "no stream was cut: nothing was tested")
    return found


def _killed(server: Server, requests: Sequence[Request], dice: random.Random) -> list[Reading]:
    """Begin these requests, and kill the server while they run."""
    with contextlib.closing(Crowd(server.port)) as crowd:
        readings = begin_all(crowd, requests)
        for _ in range(dice.randrange(60)):
            crowd.turn()
        server.kill()
        crowd.drain(PATIENCE)
    return readings


CLAIM = Claim(
    "server-kills",
    "The whole server is killed and started again: journalled streams are resumed to their end, "
    "equal bytes",
    Sizes(test=2, ci=3, full=30),
    "kills",
    _run,
)
