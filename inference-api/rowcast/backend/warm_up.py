"""Compute a prompt before the first request, so that no request is slow because it is the first.

    WarmUp(rows, tokens).run(engine)     a prompt of `tokens` tokens in `rows` rows, then a token

This touches the pages of weights and row cache, starts threads, and fills the caches of kernels. A
row is seated anew for each reply, so it changes no reply. Only the first backend of a launcher does
it: its successors have open streams that wait.
"""

import logging
import mmap
import time
from collections.abc import Iterator

from rowcast.engine.engine import Drawn, Engine, Feed, Seating
from rowcast.errors import RowcastError
from rowcast.sampling_params import SamplingParams

_log = logging.getLogger("rowcast.loading")


class WarmUp:
    """A prompt to compute once; forks share whether that was done."""

    def __init__(self, rows: int = 0, tokens: int = 0) -> None:
        """`rows`: 0 to do nothing."""
        self.rows = rows
        self.tokens = tokens
        self._done = mmap.mmap(-1, 1)

    def run(self, engine: Engine) -> None:
        """Compute it, unless a fork has. Raises RowcastError if it does not fit the engine."""
        if not self.rows or self._done[0]:
            return
        _check_room(engine, self.rows, self.tokens)
        began = time.monotonic()
        compute(engine, self.rows, self.tokens)
        self._done[0] = 1
        seconds = time.monotonic() - began
        _log.info("warm rows=%d tokens=%d seconds=%.2f", self.rows, self.tokens, seconds)


def compute(engine: Engine, rows: int, tokens: int) -> None:
    """Feed the rows a prompt and the token that follows it, then free them."""
    seating = Seating(SamplingParams(max_tokens=2), seed=0, choice=0, prompt_length=tokens)
    for row in range(rows):
        engine.seat(row, seating)
    drawn = [each for feeds in _feeds(engine, rows, tokens) for each in engine.step(feeds)]
    following = [_next(each, tokens) for each in drawn if each.tokens]
    if following:
        engine.step(following)
    for row in range(rows):
        engine.leave(row)


def _feeds(engine: Engine, rows: int, tokens: int) -> Iterator[list[Feed]]:
    """Yield the feeds of each step: row by row, up to the engine's width."""
    prompt = [at % engine.vocabulary for at in range(tokens)]
    feeds: list[Feed] = []
    room = engine.width
    for row in range(rows):
        fed = 0
        while fed < tokens:
            end = min(tokens, fed + room)
            draws = end == tokens < engine.context_length  # a full row has no next token
            feeds.append(Feed(row, fed, prompt[fed:end], draws=draws))
            room -= end - fed
            fed = end
            if not room:
                yield feeds
                feeds, room = [], engine.width
    if feeds:
        yield feeds


def _next(drawn: Drawn, tokens: int) -> Feed:
    return Feed(drawn.row, tokens + drawn.cached, drawn.tokens[-1:], draws=True)


def _check_room(engine: Engine, rows: int, tokens: int) -> None:
    if rows > engine.rows:
        raise RowcastError(
            f"WARM_ROWS is {rows}, but the model has {engine.rows} rows; choose at most that"
        )
    if tokens > engine.context_length:
        raise RowcastError(
            f"WARM_TOKENS is {tokens}, but the model's context is {engine.context_length} tokens; "
            "choose at most that"
        )
    most = engine.memory.tokens // engine.memory.up(tokens)
    if rows > most:
        raise RowcastError(
            f"WARM_ROWS is {rows} and WARM_TOKENS is {tokens}, but the memory of rows is enough "
            f"for {most} of them; choose fewer, or set a higher KV_MEMORY"
        )
