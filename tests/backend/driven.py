"""A `DecodeBackend` that the test steps manually, over the memory transport and without threads.

`Driven` joins a backend, a scripted engine that records its steps, and any number of `Reader`s:
frontends that record their events, and check on arrival that none of them is wrong.
"""

import array
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rowcast.backend.decode_backend import DecodeBackend, Limits
from rowcast.backend.policies import Policies
from rowcast.engine.engine import Drawn, Feed, SavedCache, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.errors import PeerGone
from rowcast.sampling_params import SamplingParams
from rowcast.transport.memory import MemoryFrontendPort, MemoryTransport
from rowcast.wire import (
    Accepted,
    Cancel,
    Command,
    Embed,
    Embedded,
    Event,
    Finished,
    Pooled,
    Rejected,
    RowStates,
    Scored,
    Seated,
    Status,
    Submit,
    Tokens,
)


def submit(
    session: str,
    prompt: Sequence[int] = b"Hello",
    *,
    max_tokens: int = 8,
    seed: int = 1,
    choice: int = 0,
    ignore_eos: bool = True,
    delivered: Sequence[int] | None = None,
    team: str = "",
    key: str = "",
    **params: Any,
) -> Submit:
    """Return a prompt; by default its reply has exactly `max_tokens` tokens."""
    return Submit(
        session=session,
        choice=choice,
        prompt=tuple(prompt),
        params=SamplingParams(max_tokens=max_tokens, ignore_eos=ignore_eos, **params),
        seed=seed,
        team=team,
        delivered=None if delivered is None else tuple(delivered),
        prefix_key=key,
    )


def embed(
    session: str,
    prompt: Sequence[int],
    pooling: Pooled = "last",
    *,
    logits: tuple[int, ...] = (),
    **asked: Any,
) -> Embed:
    """Return a prompt that is to become a vector."""
    plain = submit(session, prompt, **{"max_tokens": 0} | asked)
    return Embed(**msgspec.structs.asdict(plain), pooling=pooling, logits=logits)


class RecordedEngine(ScriptedEngine):
    """Records the seatings and the feeds of each step, and refuses invalid steps."""

    def __init__(
        self,
        *,
        rows: int = 32,
        width: int = 256,
        context_length: int = 4096,
        step_seconds: float = 0.0,
        cache_tokens: int | None = None,
    ) -> None:
        super().__init__(
            rows=rows,
            width=width,
            context_length=context_length,
            step_seconds=step_seconds,
            cache_tokens=cache_tokens,
        )
        self.seatings: list[Seating] = []
        self.steps: list[list[Feed]] = []
        self.forks: list[int] = []  # tokens shared by each fork
        self.copies: list[int] = []  # tokens copied from free rows
        self.loads: list[int] = []  # tokens read back from what was saved

    def seat(self, row: int, seating: Seating) -> None:
        self.seatings.append(seating)
        super().seat(row, seating)
        assert self._rows[row].cache == list(seating.held), "the row holds other tokens"

    @property
    def computed(self) -> int:
        """The number of tokens fed to all rows."""
        return sum(len(feed.tokens) for feeds in self.steps for feed in feeds)

    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        assert source != target
        self.forks.append(len(tokens) - held)
        super().fork(source, target, tokens, held)
        assert self._rows[target].cache == list(tokens), "the source holds other tokens"

    def copy(self, source: int, target: int, count: int) -> None:
        assert source != target
        self.copies.append(count)
        super().copy(source, target, count)

    def load(self, row: int, saved: SavedCache, count: int) -> None:
        self.loads.append(count)
        super().load(row, saved, count)

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        assert len({feed.row for feed in feeds}) == len(feeds), "a row was fed twice"
        assert sum(len(feed.tokens) for feed in feeds) <= self.width, "wider than the step"
        assert all(feed.tokens for feed in feeds), "fed with nothing"
        self.steps.append(list(feeds))
        return super().step(feeds)


def choices(
    session: str, count: int, prompt: Sequence[int] = b"Hello", **asked: Any
) -> list[Submit]:
    """Return the choices of one session; `named` distinguishes their replies."""
    return [
        msgspec.structs.replace(submit(session, prompt, choice=choice, **asked), choices=count)
        for choice in range(count)
    ]


def named(session: str, choice: int) -> str:
    """Return the name under which a reader records a reply."""
    return f"{session}/{choice}" if choice else session


@dataclass
class Reader:
    """One frontend and every event that it received."""

    port: MemoryFrontendPort
    batches: list[list[Event]] = field(default_factory=list)
    tokens: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    scored: dict[str, list[Scored]] = field(default_factory=lambda: defaultdict(list))
    vectors: dict[str, list[float]] = field(default_factory=dict)
    ends: dict[str, Finished] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    cached: dict[str, int] = field(default_factory=dict)  # of each prompt, by the last Seated
    logprobs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def send(self, *commands: Command) -> None:
        self.port.send(commands)

    def cancel(self, session: str, choice: int = 0) -> None:
        self.send(Cancel(session, choice))

    def read(self) -> None:
        """Read what has arrived."""
        while batch := self.port.receive():
            self.batches.append(batch)
            for event in batch:
                self._take(event)

    def read_to_the_end(self) -> None:
        """Read what a backend sent before it ended."""
        with contextlib.suppress(PeerGone):
            self.read()

    def _take(self, event: Event) -> None:
        if isinstance(event, Status):
            self.statuses.append(event)
            return
        assert not isinstance(event, RowStates), "it does not watch the rows"
        name = named(event.session, event.choice)
        match event:
            case Rejected():
                assert name not in self.accepted, "rejected after it was accepted"
                self.rejected[name] = event
                return
            case Accepted():
                assert name not in self.accepted, "accepted twice"
                self.accepted.add(name)
                return
        assert name in self.accepted, "told of a reply that was never accepted"
        assert name not in self.ends, "told something after the end"
        match event:
            case Seated():
                self.cached[name] = event.cached
            case Tokens():
                self.tokens[name] += event.tokens
                self.logprobs[name] += event.logprobs or ()
            case Scored():
                assert not self.tokens[name], "scores after the reply has begun"
                self.scored[name].append(event)
            case Embedded():
                assert name not in self.vectors, "two vectors of one prompt"
                self.vectors[name] = array.array("f", event.vector).tolist()
            case Finished():
                self.ends[name] = event

    def reason(self, session: str) -> str | None:
        """Return why a reply has ended, or None."""
        end = self.ends.get(session)
        return end.reason if end else None


class Driven:
    """A backend, its engine and its frontends."""

    def __init__(
        self,
        *,
        rows: int = 32,
        width: int = 256,
        context_length: int = 4096,
        waiting: int = 1024,
        reply_seconds: float = 3600.0,
        engine: RecordedEngine | None = None,
        policies: Policies | None = None,
    ) -> None:
        self._transport = MemoryTransport(seconds=0)
        self.engine = engine or RecordedEngine(
            rows=rows, width=width, context_length=context_length
        )
        limits = Limits(waiting, reply_seconds)
        port = self._transport.backend_port
        self.backend = DecodeBackend(port, lambda: self.engine, limits, policies=policies)
        self.readers: list[Reader] = []

    def reader(self) -> Reader:
        """Connect one more frontend."""
        self.readers.append(Reader(self._transport.connect()))
        return self.readers[-1]

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.backend.step()
            for reader in self.readers:
                reader.read()

    def pass_time(self, seconds: float) -> None:
        """Expire what will have expired after this time."""
        self.backend._expire(time.monotonic() + seconds)

    def finish(self, most: int = 5000) -> None:
        """Step until the backend is idle."""
        for _ in range(most):
            self.step()
            if self.backend.idle:
                return
        raise AssertionError(f"still busy after {most} steps")

    @property
    def seated(self) -> int:
        return self.backend.status().seated

    @property
    def waiting(self) -> int:
        return self.backend.status().waiting
