"""500 clients at a time that send and read a few bytes per second, alongside good ones.

A client that was disconnected returns after a while, as people do: otherwise the many that the
server disconnects in the same second would return in the same second, and their requests would be a
crowd, which is not slow.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import quantiles
from time import perf_counter

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic import kinds
from commands.chaos.traffic.crowd import Crowd, Reading, connect, without_gc
from commands.chaos.traffic.flow import PATIENCE, Truth, fault_of, undisturbed
from commands.chaos.traffic.request import Request
from local.server import Server

SLOW = 700  # of which some 500 are connected at a time
AWAY_SECONDS = 30.0  # longest time until one returns
GOOD = 4
SIP_BYTES = 64
SIP_SECONDS = 1.0
TIMES = 2.0
SMALL_BUFFER = 2048


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0.005) as server, without_gc():
        truth = undisturbed(server, kinds.mixed(dice, 32, 10, 30, kinds=kinds.STREAMED))
        calm = _firsts(server, truth, size, lambda: None, found)
        context.progress("connecting the slow clients")
        crawl = _Crawl(server, dice)
        busy = _firsts(server, truth, size, crawl.sip, found)
        crawl.leave()
    found.want(
        busy < TIMES * calm,
        f"p99 of the first token {busy * 1000:.0f} ms; wanted under {TIMES * calm * 1000:.0f} ms",
    )
    found.figures.append(
        f"first token p99 {calm * 1000:.0f} ms alone, {busy * 1000:.0f} ms with "
        f"{crawl.present:.0f} slow clients, {crawl.ended} of which were disconnected and returned; "
        f"{len(found.faults)} faults"
    )
    return found


def _firsts(
    server: Server, truth: Truth, seconds: int, meanwhile: Callable[[], None], found: Finding
) -> float:
    """Run good clients for this long; return the 99th percentile of the first token, seconds."""
    crowd, requests, firsts = Crowd(server.port), [*truth], list[float]()
    began, number = perf_counter(), 0
    with contextlib.closing(crowd):
        while len(crowd) or perf_counter() < began + seconds:
            while len(crowd) < GOOD and perf_counter() < began + seconds:
                crowd.begin(requests[number % len(requests)])
                number += 1
            for ended in crowd.turn(0.01):
                firsts.append((ended.arrivals or [began])[0] - ended.began)
                fault = fault_of(ended, truth)
                found.expect(not fault, f"a good client: {fault}")
            meanwhile()
    return quantiles(firsts, n=100)[98] if len(firsts) > 1 else 0.0


@dataclass(slots=True)
class _Slow:
    """A client that reads or sends a little at a time, and returns after a disconnect."""

    port: int
    request: Request
    sends: bool
    dice: random.Random
    times: int = 0
    due: float | None = None  # when it returns; None: it is connected
    reading: Reading = field(init=False)
    _unsent: bytes = b""

    def __post_init__(self) -> None:
        self.come()

    def come(self) -> None:
        """Connect, or connect again."""
        self.times, self.due = self.times + 1, None
        self._unsent = self.request.body if self.sends else b""
        request = replace(self.request, missing=len(self._unsent))
        self.reading = connect(self.port, request, SMALL_BUFFER)

    def sip(self, now: float) -> None:
        """Read or send a little, or return."""
        if self.due is not None:
            if now > self.due:
                self.come()
        elif self._is_ended():
            self.reading.sock.close()
            self.due = now + self.dice.uniform(0, AWAY_SECONDS)

    def _is_ended(self) -> bool:
        sock = self.reading.sock
        try:
            if not self._unsent:
                return not sock.recv(SIP_BYTES)
            sock.send(self._unsent[:1])
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._unsent = self._unsent[1:]
        return False


class _Crawl:
    """All slow clients."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        """Connect them, and return when the replies of the readers have been computed."""
        requests = kinds.mixed(dice, SLOW, 150, 200, kinds=(_wordy,))
        self._clients = [
            _Slow(server.port, request, at % 2 > 0, dice) for at, request in enumerate(requests)
        ]
        server.wait_until(server.free, "the slow clients' replies", PATIENCE)
        self._began = perf_counter()
        self._sips = self._there = 0

    def sip(self) -> None:
        """Let the clients whose turn it is read or send: each has one turn per second."""
        now = perf_counter()
        due = int((now - self._began) * SLOW / SIP_SECONDS)
        for turn in range(self._sips, max(self._sips, due)):
            client = self._clients[turn % SLOW]
            client.sip(now)
            self._there += client.due is None
        self._sips = max(self._sips, due)

    @property
    def present(self) -> float:
        """The average number of connected clients."""
        return SLOW * self._there / max(1, self._sips)

    @property
    def ended(self) -> int:
        """How often the server disconnected one."""
        return sum(client.times - 1 for client in self._clients)

    def leave(self) -> None:
        """Disconnect all of them."""
        for client in self._clients:
            client.reading.sock.close()


def _wordy(draw: kinds.Draw) -> Request:
    """Return a request whose answer fits no buffer: some 200 kB."""
    return draw.completion("wordy", logprobs=20, ignore_eos=True)


CLAIM = Claim(
    "slow-clients",
    "500 clients that send or read some bytes per second: good clients' first token (p99) within "
    "twice the calm one",
    Sizes(test=4, ci=20, full=600),
    "seconds",
    _run,
)
