"""Replies that a check drives by itself, without a backend."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rowcast.engine.engine import Feed, Seating
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams

GREEDY = SamplingParams(max_tokens=1, temperature=0.0, logprobs=True)
SAMPLED = SamplingParams(
    max_tokens=1,
    temperature=0.9,
    top_k=50,
    top_p=0.95,
    repetition_penalty=1.1,
    logprobs=True,
)


@dataclass
class Reply:
    """A row's tokens so far, and how many of them were fed."""

    row: int
    prompt: Sequence[int]
    params: SamplingParams = GREEDY
    seed: int = 0
    fed: int = 0
    drawn: list[int] = field(default_factory=list)
    logprobs: list[str] = field(default_factory=list)  # in hex: every bit

    @property
    def tokens(self) -> list[int]:
        return [*self.prompt, *self.drawn]

    def seat(self, engine: TorchEngine) -> None:
        held = self.tokens[: self.fed]
        engine.seat(
            self.row, Seating(self.params, self.seed, 0, len(self.prompt), held=tuple(held))
        )

    def feed(self, most: int) -> Feed:
        """Return the next piece."""
        tokens = self.tokens
        piece = tokens[self.fed : self.fed + most]
        feed = Feed(self.row, self.fed, piece, draws=self.fed + len(piece) == len(tokens))
        self.fed += len(piece)
        return feed


def step(engine: TorchEngine, feeds: Sequence[tuple[Reply, int]]) -> None:
    """Feed each reply a piece, and add what is drawn."""
    by_row = {reply.row: reply for reply, _ in feeds}
    for drawn in engine.step([reply.feed(most) for reply, most in feeds]):
        reply = by_row[drawn.row]
        if drawn.problem:
            raise RuntimeError(f"row {drawn.row}: {drawn.problem}")
        reply.drawn += drawn.tokens
        reply.logprobs += [each.hex() for each in drawn.logprobs or ()]


def finish(engine: TorchEngine, reply: Reply, tokens: int) -> Reply:
    """Drive a reply alone until it has so many tokens."""
    while len(reply.drawn) < tokens:
        step(engine, [(reply, engine.width)])
    return reply


def tokens_of(count: int, vocabulary: int, seed: int = 0) -> list[int]:
    """Return arbitrary tokens, the same every time."""
    chance = random.Random(seed)  # noqa: S311
    return [chance.randrange(vocabulary) for _ in range(count)]


def synchronise(device: torch.device) -> None:
    """Wait for what was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
