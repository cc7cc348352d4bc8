"""SIGHUP while requests arrive on new connections and on reused ones."""

from __future__ import annotations

import random
import signal
import time

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import PATIENCE, Flow, Truth, undisturbed
from commands.chaos.traffic.keep_alive import KeepAliveClient, sending
from commands.chaos.traffic.request import Request
from local.processes import lives
from local.server import Server, ServerError

WIDTH = 12
CLIENTS = 6
LOOK_SECONDS = 0.2


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0.002) as server:
        truth = undisturbed(server, kinds.mixed(dice, 60, 2, 30))
        flow, clients = Flow(server.port, truth, WIDTH), _clients(server, truth, dice)
        with sending(clients):
            for number in range(1, size + 1):
                _reload(server, flow)
                context.progress(f"{number} of {size} reloads")
            flow.finish()
    reused = sum(client.answers - client.closed for client in clients)
    found.faults += [*flow.faults, *(fault for client in clients for fault in client.faults)]
    found.expect(flow.read and reused, "no request was sent: nothing was tested")
    found.figures.append(
        f"{size} reloads; {flow.summary}; on reused connections "
        f"{sum(client.answers for client in clients)} answers, "
        f"{sum(client.closed for client in clients)} of them with `Connection: close`, "
        f"{sum(len(client.faults) for client in clients)} lost"
    )
    return found


def _clients(server: Server, truth: Truth, dice: random.Random) -> list[KeepAliveClient]:
    requests: list[Request] = [*truth]
    seeds = [dice.randrange(2**32) for _ in range(CLIENTS)]
    return [KeepAliveClient(server.port, requests, truth, random.Random(seed)) for seed in seeds]  # noqa: S311


def _reload(server: Server, flow: Flow) -> None:
    """Replace the workers, and keep sending until the old ones have ended."""
    old = server.workers()
    server.send(signal.SIGHUP)
    limit = time.monotonic() + PATIENCE
    while any(map(lives, old)) or len(server.workers()) != len(old):
        if time.monotonic() > limit:
            raise ServerError(f"workers were not replaced within {PATIENCE:.0f} s")
        flow.run_for(LOOK_SECONDS)


CLAIM = Claim(
    "reloads",
    "SIGHUP under load: every request is answered, on new connections and on reused ones",
    Sizes(test=8, ci=30, full=1000),
    "reloads",
    _run,
)
