"""The decoder is killed at random tokens while 32 streams of all kinds are read."""

from __future__ import annotations

import random
from statistics import median
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import Flow, undisturbed
from local.server import Server, ServerError

NEXT_TOKEN_SECONDS = 2.0
RECOVERY_SECONDS = 120.0


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, gaps = Finding(), list[float]()
    with context.server() as server:
        truth = undisturbed(server, kinds.mixed(dice, 64, 60, 240))
        flow = Flow(server.port, truth)
        for number in range(1, size + 1):
            _run_for_pieces(flow, dice.randint(1, 600))
            gaps.append(_kill(server, flow))
            context.progress(f"{number} of {size} kills, {flow.read} answers read")
        flow.finish()
    found.faults += flow.faults
    found.figures += [
        f"{size} kills, {flow.summary}",
        f"from kill to the next token p50 {median(gaps):.2f} s, longest {max(gaps):.2f} s",
    ]
    found.want(
        median(gaps) < NEXT_TOKEN_SECONDS,
        f"p50 of the next token is {median(gaps):.2f} s; wanted under {NEXT_TOKEN_SECONDS:g} s",
    )
    return found


def _run_for_pieces(flow: Flow, count: int) -> None:
    """Continue until this many more pieces have arrived."""
    began, wanted = perf_counter(), flow.crowd.pieces + count
    while flow.crowd.pieces < wanted:
        flow.turn()
        _check_time(began, f"{count} pieces")


def _kill(server: Server, flow: Flow) -> float:
    """Kill the decoder; return the seconds until the first output of the next one."""
    before, backend = server.recoveries(), server.current_backend()
    killed = perf_counter()
    backend.kill()
    while server.recoveries() == before:
        flow.turn()  # output of the old decoder may still arrive; it does not count
        _check_time(killed, "another decoder")
    since = perf_counter()
    while flow.crowd.last <= since:
        flow.turn()
        _check_time(killed, "a token of the next decoder")
    return flow.crowd.last - killed


def _check_time(since: float, what: str) -> None:
    if perf_counter() - since > RECOVERY_SECONDS:
        raise ServerError(f"waited {RECOVERY_SECONDS:.0f} s in vain for {what}")


CLAIM = Claim(
    "decoder-kills",
    "The decoder is killed mid-stream at random tokens, 32 streams of all kinds and dialects: "
    "no token lost, doubled or altered, all streams finish; the next token under 2 s (p50)",
    Sizes(test=5, ci=20, full=200),
    "kills",
    _run,
)
