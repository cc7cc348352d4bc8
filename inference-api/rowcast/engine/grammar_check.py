"""Checks drawn tokens against the row's grammar; the last step of drawing in any engine."""

from msgspec.structs import replace

from rowcast.engine.engine import Drawn
from rowcast.sampling.grammars.grammars import Grammars


def follow(grammars: Grammars, drawn: Drawn) -> Drawn:
    """Pass drawn tokens to the grammar; mark the reply's end, a problem, or a late row."""
    row = drawn.row
    if grammars.free(row):  # no call has begun: nothing can end the reply or fail
        for token in drawn.tokens:
            grammars.take(row, token)
        return drawn
    if problem := grammars.problem(row):
        return _without_tokens(drawn, problem=problem)
    if grammars.whole(row):  # a reply that is fed again may already be complete
        return _without_tokens(drawn, ends=True)
    for token in drawn.tokens:
        if not grammars.take(row, token):
            return late(row)
    if problem := grammars.problem(row):
        return _without_tokens(drawn, problem=problem)
    return replace(drawn, ends=True) if grammars.ended(row) else drawn


def late(row: int) -> Drawn:
    """Mark the row as set aside."""
    return Drawn(row, (), late=True)


def _without_tokens(drawn: Drawn, *, problem: str = "", ends: bool = False) -> Drawn:
    return replace(drawn, tokens=(), logprobs=None, top=None, problem=problem, ends=ends)
