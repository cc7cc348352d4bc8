"""The order of measurement: every number of streams, every contestant in turn, several rounds.

In: running services. Out: one `Burst` per turn. All services stay up, so that turns alternate
within seconds (A B C A B C …); what the idle ones compute meanwhile is measured and reported. Each
burst has its own prompts, so no server's prefix cache helps. Faults (a failure, a prompt or a reply
of the wrong length) are kept with the burst, whose figures are then not comparable.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from commands.bench.load.requests import SEEDS, Request, Sizes, make_requests
from commands.bench.results.figures import Run, Summary, summarize
from commands.bench_peers.service import Service
from commands.bench_peers.usage import Memory

WARM_UP_TOKENS = 16
MAX_FAULT = 200


@dataclass(frozen=True, slots=True)
class Turns:
    """What is measured."""

    streams: tuple[int, ...]
    rounds: int
    prompt_tokens: int
    reply_tokens: int
    timeout: float
    seed: int = 1
    rest: float = 0.0  # seconds before warming up and each round


@dataclass(frozen=True, slots=True)
class Burst:
    """One contestant's turn."""

    label: str
    round: int
    streams: int
    summary: Summary
    memory: Memory
    cores: float  # kept busy by its processes
    idle: dict[str, float]  # cores that the others used meanwhile
    fault: str | None


class Rounds:
    """Measures contestants in turns."""

    def __init__(
        self, services: Sequence[tuple[Service, int]], turns: Turns, log: Callable[[str], None]
    ) -> None:
        """Take services, each with the highest number of streams that it is measured with."""
        self._services, self._turns, self._log = services, turns, log
        self._seed = turns.seed

    def warm_up(self) -> None:
        """Run each contestant with each number of streams once, unmeasured."""
        self._rest("warming up")
        for service, streams in self._seats():
            service.burst(self._requests(streams, WARM_UP_TOKENS), self._turns.timeout)

    def measure(self) -> list[Burst]:
        """Measure all rounds."""
        bursts = []
        for number in range(1, self._turns.rounds + 1):
            self._rest(f"round {number}")
            bursts += [self._turn(service, number, streams) for service, streams in self._seats()]
        return bursts

    def _rest(self, before: str) -> None:
        self._log(f"{before} begins" + f" after {self._turns.rest:g} s" * bool(self._turns.rest))
        time.sleep(self._turns.rest)

    def _seats(self) -> Iterator[tuple[Service, int]]:
        for streams in self._turns.streams:
            for service, most in self._services:
                if streams <= most:
                    yield service, streams

    def _turn(self, service: Service, number: int, streams: int) -> Burst:
        turns = self._turns
        requests = self._requests(streams, turns.reply_tokens)
        before = self._cpu_seconds()
        gc.collect()
        run = service.burst(requests, turns.timeout)
        summary = summarize(run)
        cores = {
            label: (now - before[label]) / max(summary.seconds, 1e-9)
            for label, now in self._cpu_seconds().items()
        }
        own = cores.pop(service.label)
        fault = fault_of(run, turns)
        rate = f"{summary.tokens_per_s:,.0f} tokens/s" + (f", but {fault}" if fault else "")
        self._log(f"round {number}, {streams} streams, {service.label}: {rate}")
        return Burst(service.label, number, streams, summary, service.memory(), own, cores, fault)

    def _cpu_seconds(self) -> dict[str, float]:
        return {service.label: service.cpu_seconds() for service, _ in self._services}

    def _requests(self, count: int, reply_tokens: int) -> list[Request]:
        sizes = Sizes(self._turns.prompt_tokens, reply_tokens, "byte", send_seed=False)
        requests = make_requests(count, sizes, self._seed)
        self._seed = (self._seed + count) % SEEDS
        return requests


def fault_of(run: Run, turns: Turns) -> str | None:
    """Return the first problem that makes a burst unfit for comparison."""
    for seen in run.outcomes:
        if seen.failure:
            text = " ".join(f"{seen.failure}: {seen.detail}".split())
            return text.rstrip(": ")[:MAX_FAULT]
        if seen.prompt_tokens not in {None, turns.prompt_tokens}:
            return f"a prompt had {seen.prompt_tokens} tokens, not {turns.prompt_tokens}"
        if seen.tokens != turns.reply_tokens:
            return f"a reply had {seen.tokens} tokens, not {turns.reply_tokens}"
    return None
