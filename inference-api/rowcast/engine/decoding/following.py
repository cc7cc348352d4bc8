"""What was drawn for a row, as the row's grammar sees it; any engine's last word on it."""

from dataclasses import replace

from rowcast.engine.engine import Drawn
from rowcast.sampling.grammars.grammars import Grammars


def follow(grammars: Grammars, drawn: Drawn) -> Drawn:
    """Tell the grammar what was drawn, and say whether the reply ends with it."""
    row = drawn.row
    if problem := grammars.problem(row):
        return _without_tokens(drawn, problem=problem)
    if grammars.whole(row):  # fed again after a backend's end, a reply may be whole already
        return _without_tokens(drawn, ends=True)
    for token in drawn.tokens:
        if not grammars.take(row, token):
            return late(row)
    if problem := grammars.problem(row):
        return _without_tokens(drawn, problem=problem)
    return replace(drawn, ends=grammars.ended(row))


def late(row: int) -> Drawn:
    """The row is set aside."""
    return Drawn(row, (), late=True)


def _without_tokens(drawn: Drawn, *, problem: str = "", ends: bool = False) -> Drawn:
    return replace(drawn, tokens=(), logprobs=None, top=None, problem=problem, ends=ends)
