"""The order of measurement: every number of streams, every contestant in turn, several rounds.

In: running services. Out: one `Burst` per turn. All services stay up, so that turns alternate
within seconds (A B C A B C …); what the idle ones compute meanwhile is measured and reported. Each
burst has its own prompts, so no server's prefix cache helps; with `again`, a second burst continues
the prompts of each, which measures what servers remember. Faults (a failure, a prompt or a reply of
the wrong length) are kept with the burst, whose figures are then not comparable.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from commands.bench.load.requests import (
    SEEDS,
    Request,
    Sizes,
    further_turn,
    make_requests,
)
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
    again: int = 0  # tokens that continue each prompt in a second burst; 0: no second burst
    seed: int = 1
    rest: float = 0.0  # seconds before warming up and each round


@dataclass(frozen=True, slots=True)
class Burst:
    """One contestant's turn."""

    label: str
    round: int
    streams: int
    again: bool  # its prompts continue those of the burst before
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
            for service, streams in self._seats():
                requests = self._requests(streams, self._turns.reply_tokens)
                bursts.append(self._turn(service, number, requests))
                if self._turns.again:
                    continued = self._continued(requests)
                    bursts.append(self._turn(service, number, continued, again=True))
        return bursts

    def _rest(self, before: str) -> None:
        self._log(f"{before} begins" + f" after {self._turns.rest:g} s" * bool(self._turns.rest))
        time.sleep(self._turns.rest)

    def _seats(self) -> Iterator[tuple[Service, int]]:
        for streams in self._turns.streams:
            for service, most in self._services:
                if streams <= most:
                    yield service, streams

    def _turn(
        self, service: Service, number: int, requests: list[Request], *, again: bool = False
    ) -> Burst:
        turns = self._turns
        before = self._cpu_seconds()
        gc.collect()
        run = service.burst(requests, turns.timeout)
        summary = summarize(run)
        cores = {
            label: (now - before[label]) / max(summary.seconds, 1e-9)
            for label, now in self._cpu_seconds().items()
        }
        own = cores.pop(service.label)
        fault = fault_of(run, len(requests[0].prompt), turns.reply_tokens)
        rate = f"{summary.tokens_per_s:,.0f} tokens/s" + (f", but {fault}" if fault else "")
        streams, which = len(requests), " again" if again else ""
        self._log(f"round {number}{which}, {streams} streams, {service.label}: {rate}")
        memory = service.memory()
        return Burst(service.label, number, streams, again, summary, memory, own, cores, fault)

    def _cpu_seconds(self) -> dict[str, float]:
        return {service.label: service.cpu_seconds() for service, _ in self._services}

    def _requests(self, count: int, reply_tokens: int) -> list[Request]:
        requests = make_requests(count, self._sizes(reply_tokens), self._seed)
        self._seed = (self._seed + count) % SEEDS
        return requests

    def _continued(self, requests: list[Request]) -> list[Request]:
        none = {request.index: b"" for request in requests}  # a reply's length may change as text
        return further_turn(requests, none, self._sizes(self._turns.reply_tokens), self._seed)

    def _sizes(self, reply_tokens: int) -> Sizes:
        prompt, more = self._turns.prompt_tokens, self._turns.again - 1  # a space comes before it
        return Sizes(prompt, reply_tokens, "byte", send_seed=False, turn_tokens=more)


def fault_of(run: Run, prompt_tokens: int, reply_tokens: int) -> str | None:
    """Return the first problem that makes a burst unfit for comparison."""
    for seen in run.outcomes:
        if seen.failure:
            text = " ".join(f"{seen.failure}: {seen.detail}".split())
            return text.rstrip(": ")[:MAX_FAULT]
        if seen.prompt_tokens not in {None, prompt_tokens}:
            return f"a prompt had {seen.prompt_tokens} tokens, not {prompt_tokens}"
        if seen.tokens != reply_tokens:
            return f"a reply had {seen.tokens} tokens, not {reply_tokens}"
    return None
