"""Thousands of requests: the server's resources afterwards must not grow with them."""

from __future__ import annotations

import random
from statistics import linear_regression

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import Flow, undisturbed
from local.server import Resources, Server

STOPS = 20  # moments at which the server is idle and measured
WARM = 6
MIB = 1 << 20
SLOPE = 1.0  # MiB per 10,000 requests


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, measured = Finding(), list[tuple[int, Resources]]()
    read = 0
    with context.server(step=0, JOURNAL=context.folder / "journal.db") as server:
        truth = undisturbed(server, kinds.mixed(dice, 64, 10, 40))
        for _ in range(STOPS):
            flow = Flow(server.port, truth)
            while flow.read < size // STOPS:
                flow.turn()
            flow.finish()
            found.faults += flow.faults
            read += flow.read
            measured.append((read, _at_rest(server)))
            context.progress(f"{read} of {size} requests")
    _judge(found, measured[WARM:])
    return found


def _at_rest(server: Server) -> Resources:
    server.wait_until(server.free, "rest")
    return server.resources()


def _judge(found: Finding, measured: list[tuple[int, Resources]]) -> None:
    counts = [count for count, _ in measured]
    slope, _ = linear_regression(counts, [each.memory / MIB for _, each in measured])
    growth = slope * 10_000
    first, last = measured[0][1], measured[-1][1]
    found.want(growth < SLOPE, f"memory grows by {growth:.1f} MiB in 10,000 requests; wanted 1")
    found.expect(last.descriptors <= first.descriptors, "descriptors grow")
    found.expect(last.threads <= first.threads, "threads grow")
    found.figures.append(
        f"{counts[-1]:,} requests, {len(found.faults)} faults; after warm-up {growth:+.2f} MiB in "
        f"10,000 requests, descriptors {first.descriptors} to {last.descriptors}, threads "
        f"{first.threads} to {last.threads}, memory at the end {last.memory / MIB:.0f} MiB"
    )


CLAIM = Claim(
    "soak",
    "Memory grows by less than 1 MiB in 10,000 requests after warm-up; descriptors and threads "
    "do not grow; rows are free",
    Sizes(test=600, ci=2000, full=50_000),
    "requests",
    _run,
)
