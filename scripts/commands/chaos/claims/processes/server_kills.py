"""Every process of the server is killed, and the server is started again."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import PATIENCE, begun, fault_of, undisturbed
from commands.chaos.traffic.request import Asked
from commands.chaos.traffic.resumption import Cut, read_on
from local.server import Server

STREAMS = 32


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, cut = Finding(), 0
    journal = context.folder / "journal.db"
    with context.server(JOURNAL=journal, step=0.02) as server:
        truth = undisturbed(server, kinds.mixed(dice, STREAMS * 2, 80, 200))
        for number in range(1, size + 1):
            asks = [
                asked.keyed(f"{number}-{at}") if asked.form == "json" else asked
                for at, asked in enumerate(dice.sample([*truth], STREAMS))
            ]
            readings = _killed(server, asks, dice)
            server.start()
            lost = [Cut.of(each) for each in readings if not each.whole]
            whole = [fault_of(each, truth) for each in readings if each.whole]
            found.faults += [*filter(None, whole), *read_on(server.port, lost, truth)]
            cut += len(lost)
            context.say(f"{number} of {size} kills")
    found.figures.append(
        f"{size} kills, {cut} streams cut and read to their end, {len(found.faults)} faults"
    )
    found.expect(cut, "no stream was cut: nothing was put to the test")
    return found


def _killed(server: Server, asks: Sequence[Asked], dice: random.Random) -> list[Reading]:
    """Begin these requests, and kill the server while they run."""
    with contextlib.closing(Crowd(server.port)) as crowd:
        readings = begun(crowd, asks)
        for _ in range(dice.randrange(60)):
            crowd.turn()
        server.kill()
        crowd.drain(PATIENCE)
    return readings


CLAIM = Claim(
    "server-kills",
    "The whole server is killed and started again: journalled streams are read to their end, "
    "equal bytes",
    Sizes(test=1, ci=3, full=30),
    "kills",
    _run,
)
