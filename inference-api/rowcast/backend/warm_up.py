"""A prompt computed before anybody sends one, so that the first request finds everything warm.

    WarmUp(rows, tokens).run(engine)     a prompt of `tokens` tokens in `rows` rows, and one more

Touches the pages of weights and row cache, starts threads, and fills what kernels keep. A row is
seated anew for each reply, so nothing of this is in any reply. Only the first backend of a launcher
does it: open streams wait for its successors.
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
    """What is computed in advance; forks share whether it was done."""

    def __init__(self, rows: int = 0, tokens: int = 0) -> None:
        """`rows`: 0 for none."""
        self._rows = rows
        self._tokens = tokens
        self._done = mmap.mmap(-1, 1)

    def run(self, engine: Engine) -> None:
        """Compute it, unless a fork has. Raises RowcastError if the engine has no room for it."""
        if not self._rows or self._done[0]:
            return
        _check_room(engine, self._rows, self._tokens)
        began = time.monotonic()
        compute(engine, self._rows, self._tokens)
        self._done[0] = 1
        seconds = time.monotonic() - began
        _log.info("warm rows=%d tokens=%d seconds=%.2f", self._rows, self._tokens, seconds)


def compute(engine: Engine, rows: int, tokens: int) -> None:
    """Feed the rows a prompt, then the token that follows it, and free them."""
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
    """Yield the feeds of each step: row by row, as many tokens as a step has room for."""
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
        raise RowcastError(f"WARM_ROWS is {rows}; the model has {engine.rows} rows")
    if tokens > engine.context_length:
        raise RowcastError(
            f"WARM_TOKENS is {tokens}, but the model's context is {engine.context_length} tokens; "
            "choose at most that"
        )
