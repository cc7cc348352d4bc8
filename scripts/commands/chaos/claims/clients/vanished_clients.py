"""Clients vanish in every phase and way; then the server must hold no more than before."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter, sleep

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import Flow, undisturbed
from commands.chaos.traffic.request import Request
from local.server import Resources, Server

AT_ONCE = 40
PHASE_SECONDS = 30.0
CALM_SECONDS = 90.0
LIMIT_SECONDS = 3  # then the server disconnects a silent client

Phase = Callable[[Reading], bool]  # True if the reading has reached this phase


def _at_once(_: Reading) -> bool:
    return True


def _has_headers(reading: Reading) -> bool:
    return bool(reading.status)


def _reads(reading: Reading) -> bool:
    return bool(reading.arrivals)


PHASES: tuple[Phase, ...] = (_at_once, _has_headers, _reads)
MANNERS = (Crowd.leave, Crowd.abort, Crowd.half_close)


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    limits = dict.fromkeys(("CLIENT_SECONDS", "BODY_SECONDS", "HEADER_SECONDS"), LIMIT_SECONDS)
    with context.server(step=0.005, count_greenlets=True, **limits) as server:
        truth = undisturbed(server, kinds.mixed(dice, 32, 20, 60))
        _vanish(server, dice, AT_ONCE)  # creates what is only created once
        sleep(2 * LIMIT_SECONDS)
        before = _await_calm(server)
        for done in range(0, size, AT_ONCE):
            _vanish(server, dice, min(AT_ONCE, size - done))
            context.progress(f"{min(size, done + AT_ONCE)} of {size} clients")
        after = _await_calm(server, before)
        flow = Flow(server.port, truth)
        flow.run_for(0.5)
        flow.finish()
    found.faults += flow.faults
    _compare(found, before, after)
    found.figures.append(
        f"{size} clients; rows 0, descriptors {before.descriptors} before and {after.descriptors} "
        f"after, threads {before.threads} and {after.threads}, greenlets {before.greenlets} and "
        f"{after.greenlets}, memory "
        f"{(after.memory - before.memory) / (1 << 20):+.1f} MiB"
    )
    return found


def _compare(found: Finding, before: Resources, after: Resources) -> None:
    found.expect(
        after.descriptors <= before.descriptors,
        f"{after.descriptors - before.descriptors} descriptors leaked",
    )
    found.expect(
        after.threads <= before.threads, f"{after.threads - before.threads} threads leaked"
    )
    found.expect(before.greenlets, "greenlets were not counted")
    found.expect(
        after.greenlets <= before.greenlets,
        f"{after.greenlets - before.greenlets} greenlets leaked",
    )


def _vanish(server: Server, dice: random.Random, count: int) -> None:
    """Have this many clients begin, reach their phase, and vanish."""
    crowd = Crowd(server.port)
    requests = kinds.mixed(dice, count, 100, 2000)
    departures = [(dice.choice(PHASES), dice.choice(MANNERS)) for _ in requests]
    readings = [crowd.begin(_half(each) if dice.random() < 0.2 else each) for each in requests]
    limit = perf_counter() + PHASE_SECONDS
    present = dict(zip(readings, departures, strict=True))
    while present and perf_counter() < limit:
        crowd.turn(0.01)
        for reading, (phase, manner) in list(present.items()):
            if reading.ended or phase(reading) or reading.request.form == "json":
                manner(crowd, reading)
                del present[reading]
    crowd.close()


def _half(request: Request) -> Request:
    """Return a request whose body never arrives completely."""
    return replace(request, missing=20)


def _await_calm(server: Server, wanted: Resources | None = None) -> Resources:
    """Wait until rows and waiting line are free and, if given, no more is held than `wanted`."""
    server.wait_until(server.free, "free rows")
    held, limit = server.resources(), perf_counter() + CALM_SECONDS
    while wanted and perf_counter() < limit:
        held = server.resources()
        if _is_within(held, wanted):
            break
    return held


def _is_within(held: Resources, wanted: Resources) -> bool:
    """True if no more is held of any counted resource."""
    return (
        held.descriptors <= wanted.descriptors
        and held.threads <= wanted.threads
        and held.greenlets <= wanted.greenlets
    )


CLAIM = Claim(
    "vanishing",
    "Clients vanish in every phase and manner: no row, descriptor, thread or greenlet leaked",
    Sizes(test=120, ci=500, full=10_000),
    "clients",
    _run,
)
