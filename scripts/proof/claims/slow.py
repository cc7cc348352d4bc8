"""500 clients that send and read a few bytes a second, beside good ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import quantiles
from time import perf_counter

from proof import kinds
from proof.claim import Claim, Finding, Sizes
from proof.context import Context
from proof.crowd import Crowd, Reading, connect
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
    with context.server(step=0.005) as server:
        truth = undisturbed(server, kinds.mixed(dice, 32, 10, 30, kinds.STREAMED))
        calm = _firsts(server, truth, size, lambda: None, found)
        context.say("500 slow clients are coming")
        crawl = _Crawl.of(server, dice)
        beside = _firsts(server, truth, size, crawl.sip, found)
        still = crawl.still_there
        crawl.leave()
    found.expect(still > SLOW // 2, f"only {still} of {SLOW} slow clients were still there")
    found.wish(
        beside < TIMES * calm,
        f"p99 of the first token {beside * 1000:.0f} ms; wanted under {TIMES * calm * 1000:.0f} ms",
    )
    found.figures.append(
        f"first token p99 {calm * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside {still} slow "
        f"clients; {len(found.faults)} faults"
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
class _Crawl:
    """The slow ones: one half reads a little now and then, the other sends so."""

    readers: list[Reading]
    senders: list[Reading]
    _unsent: dict[Reading, bytes] = field(default_factory=dict)
    _next: float = 0.0

    @classmethod
    def of(cls, server: Server, dice: random.Random) -> _Crawl:
        """All of them, when the replies of those who read have been computed."""
        long = kinds.mixed(dice, SLOW // 2, 120, 160, (kinds.completion_logprobs,))
        readers = [connect(server.port, each, SMALL_BUFFER) for each in long]
        heads = [replace(each, missing=len(each.body)) for each in long]
        senders = [connect(server.port, each) for each in heads]
        unsent = {each: long[at].body for at, each in enumerate(senders)}
        server.until(server.free, "the slow clients' replies", PATIENCE)
        return cls(readers, senders, unsent)

    def sip(self) -> None:
        """Once in a while each takes or gives a little."""
        if perf_counter() < self._next:
            return
        self._next = perf_counter() + SIP_SECONDS
        for reading in self.readers:
            _take(reading)
        for reading, unsent in self._unsent.items():
            _give(reading, unsent[:1])
            self._unsent[reading] = unsent[1:]

    @property
    def still_there(self) -> int:
        """Whom the server has not ended."""
        return sum(each.ended is None for each in self.readers + self.senders)

    def leave(self) -> None:
        """All of them."""
        for reading in self.readers + self.senders:
            reading.sock.close()


def _take(reading: Reading) -> None:
    if reading.ended is not None:
        return
    try:
        if not reading.sock.recv(SIP_BYTES):
            reading.end("ended")
    except BlockingIOError:
        return
    except OSError as error:
        reading.end(str(error))


def _give(reading: Reading, data: bytes) -> None:
    if reading.ended is not None:
        return
    try:
        reading.sock.send(data)
    except BlockingIOError:
        return
    except OSError as error:
        reading.end(str(error))


CLAIM = Claim(
    "slow-clients",
    "500 clients that send or read some bytes a second: good clients' first token (p99) within "
    "twice the calm one",
    Sizes(test=3, ci=20, full=600),
    "seconds",
    _run,
)
