"""SIGHUP while requests arrive on new connections and on kept ones."""

from __future__ import annotations

import random
import signal
import time

import psutil

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import PATIENCE, Flow, Truth, undisturbed
from commands.chaos.traffic.keep_alive import Keeper, keeping
from commands.chaos.traffic.request import Asked
from local.server import Server, ServerError

WIDTH = 12
KEEPERS = 6
LOOK_SECONDS = 0.2


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0.002) as server:
        truth = undisturbed(server, kinds.mixed(dice, 60, 2, 30))
        flow, keepers = Flow(server.port, truth, WIDTH), _keepers(server, truth, dice)
        with keeping(keepers):
            for number in range(1, size + 1):
                _reload(server, flow)
                context.say(f"{number} of {size} reloads")
            flow.finish()
    asked_again = sum(keeper.answers - keeper.closed for keeper in keepers)
    found.faults += [*flow.faults, *(fault for keeper in keepers for fault in keeper.faults)]
    found.expect(flow.read and asked_again, "nothing was asked: nothing was put to the test")
    found.figures.append(
        f"{size} reloads; {flow.told}; on kept connections "
        f"{sum(keeper.answers for keeper in keepers)} answers, "
        f"{sum(keeper.closed for keeper in keepers)} of them with `Connection: close`, "
        f"{sum(len(keeper.faults) for keeper in keepers)} lost"
    )
    return found


def _keepers(server: Server, truth: Truth, dice: random.Random) -> list[Keeper]:
    asks: list[Asked] = [*truth]
    seeds = [dice.randrange(2**32) for _ in range(KEEPERS)]
    return [Keeper(server.port, asks, truth, random.Random(seed)) for seed in seeds]  # noqa: S311


def _reload(server: Server, flow: Flow) -> None:
    """Replace the workers, and keep sending until the old ones have ended."""
    old = server.workers()
    server.tell(signal.SIGHUP)
    limit = time.monotonic() + PATIENCE
    while any(map(_lives, old)) or len(server.workers()) != len(old):
        if time.monotonic() > limit:
            raise ServerError(f"workers were not replaced within {PATIENCE:.0f} s")
        flow.go_on(LOOK_SECONDS)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


CLAIM = Claim(
    "reloads",
    "SIGHUP under load: every request is answered, on new connections and on kept ones",
    Sizes(test=5, ci=30, full=1000),
    "reloads",
    _run,
)
