"""500 clients that send and read a few bytes a second, beside good ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import quantiles
from time import perf_counter

from proof import kinds
from proof.asked import Asked
from proof.claim import Claim, Finding, Sizes
from proof.context import Context
from proof.crowd import Crowd, Reading, connect, unpaused
from proof.flow import PATIENCE, Truth, fault_of, undisturbed
from proof.server import Server

SLOW = 500
GOOD = 4
SIP_BYTES = 64
SIP_SECONDS = 1.0
TIMES = 2.0
SMALL_BUFFER = 2048


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    with context.server(step=0.005) as server, unpaused():
        truth = undisturbed(server, kinds.mixed(dice, 32, 10, 30, kinds.STREAMED))
        calm = _firsts(server, truth, size, lambda: None, found)
        context.say("500 slow clients are coming")
        crawl = _Crawl(server, dice)
        beside = _firsts(server, truth, size, crawl.sip, found)
        crawl.leave()
    found.wish(
        beside < TIMES * calm,
        f"p99 of the first token {beside * 1000:.0f} ms; wanted under {TIMES * calm * 1000:.0f} ms",
    )
    found.figures.append(
        f"first token p99 {calm * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside {SLOW} slow "
        f"clients, of whom {crawl.ended} were ended and came again; {len(found.faults)} faults"
    )
    return found


def _firsts(
    server: Server, truth: Truth, seconds: int, meanwhile: Callable[[], None], found: Finding
) -> float:
    """Good clients for so long; the 99th percentile of their first token, in seconds."""
    crowd, asks, firsts = Crowd(server.port), [*truth], list[float]()
    began, number = perf_counter(), 0
    with contextlib.closing(crowd):
        while len(crowd) or perf_counter() < began + seconds:
            while len(crowd) < GOOD and perf_counter() < began + seconds:
                crowd.begin(asks[number % len(asks)])
                number += 1
            for ended in crowd.turn(0.01):
                firsts.append((ended.arrivals or [began])[0] - ended.began)
                fault = fault_of(ended, truth)
                found.expect(not fault, f"a good client: {fault}")
            meanwhile()
    return quantiles(firsts, n=100)[98] if len(firsts) > 1 else 0.0


@dataclass(slots=True)
class _Slow:
    """One who reads a little now and then, or sends so; who is ended comes again."""

    port: int
    asked: Asked
    sends: bool
    times: int = 0
    reading: Reading = field(init=False)
    _unsent: bytes = b""

    def __post_init__(self) -> None:
        self.come()

    def come(self) -> None:
        """Begin, or begin again."""
        self.times += 1
        self._unsent = self.asked.body if self.sends else b""
        asked = replace(self.asked, missing=len(self._unsent))
        self.reading = connect(self.port, asked, SMALL_BUFFER)

    def sip(self) -> None:
        """Take or give a little."""
        sock = self.reading.sock
        try:
            gone = not sock.send(self._unsent[:1]) if self._unsent else not sock.recv(SIP_BYTES)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        self._unsent = self._unsent[1:]
        if gone:
            sock.close()
            self.come()


class _Crawl:
    """All of the slow ones."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        """Comes back when the answers of those who read have been computed."""
        asks = kinds.mixed(dice, SLOW, 150, 200, (_wordy,))
        self._clients = [_Slow(server.port, each, at % 2 > 0) for at, each in enumerate(asks)]
        self._next = 0.0
        server.until(server.free, "the slow clients' replies", PATIENCE)

    def sip(self) -> None:
        """Once in a while each takes or gives a little."""
        if perf_counter() > self._next:
            self._next = perf_counter() + SIP_SECONDS
            for client in self._clients:
                client.sip()

    @property
    def ended(self) -> int:
        """How often the server had enough of one."""
        return sum(client.times - 1 for client in self._clients)

    def leave(self) -> None:
        """All of them."""
        for client in self._clients:
            client.reading.sock.close()


def _wordy(draw: kinds.Draw) -> Asked:
    """An answer that no buffer holds: some 200 kB."""
    return draw.completion("wordy", logprobs=20, ignore_eos=True)


CLAIM = Claim(
    "slow-clients",
    "500 clients that send or read some bytes a second: good clients' first token (p99) within "
    "twice the calm one",
    Sizes(test=3, ci=20, full=600),
    "seconds",
    _run,
)
